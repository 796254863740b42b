"""Trains the denoiser: `python -m models.upscaler_training.train_denoiser`.

Resumes from its last checkpoint; reproducible as `train_upscaler` is.
"""

from typing import Final

import click
import numpy as np
import torch

from deployments.denoiser.network import ResidualDenoiser
from models.upscaler_training import degradations, loop, pictures, places
from models.upscaler_training.batches import Crops

SEED: Final = 21
STEPS: Final = 20000
BATCH: Final = 12
CROP: Final = 64
CHECKPOINT: Final = places.CHECKPOINTS / "denoiser.pt"


def network() -> ResidualDenoiser:
    """0.16M parameters, starting as the identity."""
    torch.manual_seed(SEED)
    untrained = ResidualDenoiser()
    untrained.to(memory_format=torch.channels_last)
    return untrained


def batch(crops: Crops, step: int) -> loop.Batch:
    """Worn and clean pictures; see `train_upscaler.batch`."""
    chance = np.random.default_rng((SEED, step))
    clean = [crops.draw(chance) for _ in range(BATCH)]
    worn = [degradations.for_denoising(crop, chance) for crop in clean]
    return loop.stacked(worn), loop.stacked(clean)


@click.command()
@click.option("--steps", default=STEPS, show_default=True)
def main(steps: int) -> None:
    crops = Crops(pictures.training(), CROP)
    loop.train(
        network(),
        lambda model, worn: model(worn),
        lambda step: batch(crops, step),
        loop.Plan(steps=steps, checkpoint=CHECKPOINT, peak_rate=1e-3),
    )


if __name__ == "__main__":
    main()
