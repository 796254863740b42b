import torch
from torch import nn

from models.training import devices
from models.training.muon import MuonWithAdam, orthogonal


def test_orthogonal_makes_all_singular_values_about_one() -> None:
    matrix = torch.randn(48, 160, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrix).float())
    assert values.min() > 0.6
    assert values.max() < 1.3
    tall = orthogonal(matrix.T).float()
    assert torch.allclose(tall, orthogonal(matrix).float().T, atol=2e-2)


def fitted_loss(restart_at: int | None) -> tuple[float, torch.Tensor]:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    inputs = torch.randn(64, 32)
    wanted = inputs.prod(1, keepdim=True).sign()
    optimizer = MuonWithAdam(model, lr=0.01)
    loss = torch.tensor(0.0)
    for step in range(60):
        if step == restart_at:
            kept = optimizer.state_dict()
            optimizer = MuonWithAdam(model, lr=0.01)
            optimizer.load_state_dict(kept)
        loss = (model(inputs) - wanted).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item(), model[0].weight.detach()


def test_the_optimizer_learns_and_resumes_exactly() -> None:
    loss, weights = fitted_loss(restart_at=None)
    assert loss < 0.5
    resumed_loss, resumed_weights = fitted_loss(restart_at=30)
    assert resumed_loss == loss
    assert torch.equal(resumed_weights, weights)


def test_gradients_in_parts_are_those_of_the_whole() -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 1))
    inputs, wanted = torch.randn(12, 8), torch.randn(12, 1)
    threads = torch.get_num_threads()

    def loss_of(part: slice) -> torch.Tensor:
        return (model(inputs[part]) - wanted[part]).square().mean()

    try:
        loss = devices.SplitGradients(model, torch.device("cpu"), workers=3)(12, loss_of)
    finally:
        torch.set_num_threads(threads)
    in_parts = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    whole = loss_of(slice(0, 12))
    expected = torch.autograd.grad(whole, list(model.parameters()))
    assert abs(loss - whole.item()) < 1e-6
    for got, wished in zip(in_parts, expected, strict=True):
        assert torch.allclose(got, wished, atol=1e-6)
