"""The training loop both networks share: batches made ahead, cosine, moving average, checkpoints.

Knows optimisation; nothing of pictures.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from models.training import devices

Batch = tuple[torch.Tensor, torch.Tensor]
"""Input and target, each (n, 3, height, width), 0..1."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of what was restored and the target, (n, 3, height, width) each."""


def root_mean_square(restored: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Of each picture, then their mean. Within a picture it asks for the highest PSNR, as L1 does not; the
    worst pictures count for no more than with L1. Errors under half a level hardly count."""
    error = (restored - wanted).square().mean((1, 2, 3))
    return (error + 0.25 / 255**2).sqrt().mean()


@dataclass(frozen=True, slots=True)
class Plan:
    """`full_precision_from` is the share of the steps after which bfloat16 is not used: its rounding is a
    floor under fine corrections."""

    steps: int
    checkpoint: Path
    peak_rate: float
    loss: Loss = functional.l1_loss
    warmup_steps: int = 150
    ema_decay: float = 0.998
    full_precision_from: float = 0.85
    clip_norm: float = 0.5


def train(
    network: nn.Module,
    restore: Callable[[nn.Module, torch.Tensor], torch.Tensor],
    batch: Callable[[int], Batch],
    plan: Plan,
) -> None:
    """Goes on from the plan's checkpoint, if there is one. `batch` is a function of the step alone; another
    process computes it ahead."""
    device = devices.prepare()
    network = network.to(device).train()
    average = averaged(network, plan.ema_decay)
    optimizer = torch.optim.AdamW(network.parameters(), plan.peak_rate, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, plan))
    parts = {"model": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    first = _resume(parts, plan.checkpoint)
    losses: list[float] = []
    started = time.perf_counter()
    for step, pair in enumerate(_ahead(batch, range(first, plan.steps)), first):
        given, wanted = (tensor.to(device) for tensor in pair)
        fine = step >= plan.steps * plan.full_precision_from
        with torch.autocast(device.type, enabled=False) if fine else devices.autocast(device):
            restored = restore(network, given)
        loss = plan.loss(restored.float(), wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        losses.append(loss.item())
        if (step + 1) % 250 == 0 or step + 1 == plan.steps:
            _save(parts, plan.checkpoint, step + 1)
            pace = (step + 1 - first) / (time.perf_counter() - started)
            mean = float(np.mean(losses))
            print(f"step {step + 1}/{plan.steps}  loss {mean:.5f}  {pace:.1f} steps/s", flush=True)
            losses = []


def averaged(network: nn.Module, decay: float = 0.998) -> torch.optim.swa_utils.AveragedModel:
    return torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )


def trained(network: nn.Module, checkpoint: Path) -> tuple[nn.Module, int]:
    """`network` with the averaged weights of a checkpoint, and its step."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    average = averaged(network)
    average.load_state_dict(state["average"])
    return average.module, int(state["step"])


def stacked(pictures: list[Any]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


class _Steps(Dataset[Batch]):  # type: ignore[misc]
    def __init__(self, batch: Callable[[int], Batch]) -> None:
        self._batch = batch

    def __getitem__(self, step: int) -> Batch:
        return self._batch(step)


def _ahead(batch: Callable[[int], Batch], steps: range) -> DataLoader[Batch]:
    """The batches of `steps`, made by one process that yields to everything else."""
    return DataLoader(
        _Steps(batch),
        batch_size=None,
        sampler=steps,
        num_workers=1,
        prefetch_factor=16,
        worker_init_fn=_yield_to_others,
        multiprocessing_context="fork",
    )


def _yield_to_others(_: int) -> None:
    os.nice(19)


def _rate(step: int, plan: Plan) -> float:
    """Linear warm-up, then a cosine to a hundredth of the peak."""
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    progress = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * progress)))


def _resume(parts: dict[str, Any], checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])


def _save(parts: dict[str, Any], checkpoint: Path, step: int) -> None:
    """Replaces the checkpoint at once: an interrupted write leaves the one before."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    torch.save({name: part.state_dict() for name, part in parts.items()} | {"step": step}, partial)
    partial.replace(checkpoint)
