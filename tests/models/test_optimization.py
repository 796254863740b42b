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


def test_the_number_of_threads_follows_the_faster_choice() -> None:
    before = torch.get_num_threads()
    clock = {"now": 0.0}
    choice = devices.ThreadChoice(most=2, clock=lambda: clock["now"])
    try:
        for _ in range(devices.ThreadChoice.EVERY):
            clock["now"] += 2.0 if torch.get_num_threads() == 2 else 1.0
            choice.step_done()
        assert torch.get_num_threads() == 1
        for _ in range(2 * devices.ThreadChoice.EVERY):
            clock["now"] += 1.0 if torch.get_num_threads() == 2 else 2.0
            choice.step_done()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
