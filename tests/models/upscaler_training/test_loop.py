from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.upscaler_training import loop


def batch(step: int) -> loop.Batch:
    chance = np.random.default_rng(step)
    wanted = torch.from_numpy(chance.random((2, 3, 4, 4), np.float32))
    return wanted * 0.5, wanted


def trained(steps: int, checkpoint: Path) -> torch.Tensor:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 1)
    plan = loop.Plan(steps, checkpoint, 1e-2, loss=loop.root_mean_square, full_precision_from=0)
    loop.train(network, lambda model, given: model(given), batch, plan)
    return network.weight.detach()


def test_resumed_training_ends_where_training_in_one_go_does(tmp_path: Path) -> None:
    at_once = trained(6, tmp_path / "at_once.pt")
    halfway = trained(3, tmp_path / "resumed.pt")
    assert torch.equal(trained(6, tmp_path / "resumed.pt"), at_once)
    assert not torch.equal(halfway, at_once)


def test_root_mean_square_is_of_each_picture() -> None:
    wanted = torch.zeros(2, 3, 4, 4)
    restored = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.3)])
    assert float(loop.root_mean_square(restored, wanted)) == pytest.approx(0.2, abs=1e-4)
    half_a_level = 0.5 / 255
    assert float(loop.root_mean_square(wanted, wanted)) == pytest.approx(half_a_level)
