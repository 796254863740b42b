"""Trains the denoiser: `python -m models.upscaler_training.train_denoiser`.

Resumes from its last checkpoint; reproducible as `train_upscaler` is.
"""

from typing import Final

import click
import numpy as np
import torch

from deployments.denoiser.network import PERIOD, TwoScaleDenoiser
from models.upscaler_training import degradations, loop, pictures, places
from models.upscaler_training.artwork import Picture
from models.upscaler_training.batches import Crops

SEED: Final = 21
STEPS: Final = 26000
BATCH: Final = 8
CROP: Final = 80
SHARES: Final = (0.25, 0.5, 0.25)
SHIFTED: Final = 1 / 8
"""Share of crops whose JPEG blocks do not begin at the top left: pictures that were cropped once saved."""
CHECKPOINT: Final = places.CHECKPOINTS / "denoiser_two_scales.pt"


def network() -> TwoScaleDenoiser:
    """0.20M parameters, starting as the identity."""
    torch.manual_seed(SEED)
    untrained = TwoScaleDenoiser()
    untrained.to(memory_format=torch.channels_last)
    return untrained


def batch(crops: Crops, step: int) -> loop.Batch:
    """Worn and clean pictures; see `train_upscaler.batch`."""
    chance = np.random.default_rng((SEED, step))
    clean = [crops.draw(chance) for _ in range(BATCH)]
    return loop.stacked([_worn(crop, chance) for crop in clean]), loop.stacked(clean)


def _worn(crop: Picture, chance: np.random.Generator) -> Picture:
    if chance.random() >= SHIFTED:
        return degradations.for_denoising(crop, chance)
    down, right = (int(pixels) for pixels in chance.integers(0, PERIOD, 2))
    shifted = degradations.for_denoising(np.roll(crop, (down, right), (0, 1)), chance)
    return np.roll(shifted, (-down, -right), (0, 1))


@click.command()
@click.option("--steps", default=STEPS, show_default=True)
def main(steps: int) -> None:
    crops = Crops(pictures.training(), CROP, SHARES)
    loop.train(
        network(),
        lambda model, worn: model(worn),
        lambda step: batch(crops, step),
        loop.Plan(
            steps=steps,
            checkpoint=CHECKPOINT,
            peak_rate=1.5e-3,
            full_precision_from=0.92,
            loss=loop.root_mean_square,
        ),
    )


if __name__ == "__main__":
    main()
