"""Trains the 2x upscaler: `python -m models.upscaler_training.train_upscaler`.

Resumes from its last checkpoint. The seed fixes initial weights, crops and degradations: on one machine, with
one number of threads and one set of library versions, the weights come out the same.
"""

from typing import Final

import click
import numpy as np
import torch
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from models.upscaler_training import degradations, loop, pictures, places
from models.upscaler_training.batches import Crops
from models.upscaler_training.bicubic_start import start_as_bicubic

SEED: Final = 20
STEPS: Final = 5000
BATCH: Final = 8
CROP: Final = 64
"""Pixels of the large side: the network sees 32 x 32."""
SHARES: Final = (0.5, 0.35, 0.15)
CHECKPOINT: Final = places.CHECKPOINTS / "upscaler.pt"


def network() -> Swin2SRForImageSuperResolution:
    """Three stages of two layers, 48 channels: 0.23M parameters, starting as bicubic interpolation."""
    torch.manual_seed(SEED)
    config = Swin2SRConfig(
        image_size=64,
        embed_dim=48,
        depths=[2, 2, 2],
        num_heads=[3, 3, 3],
        window_size=8,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        upscale=2,
        upsampler="pixelshuffledirect",
    )
    model = Swin2SRForImageSuperResolution(config)
    start_as_bicubic(model)
    return model


def batch(crops: Crops, step: int) -> loop.Batch:
    """Small and large pictures. A function of the step, so that resumed training sees what it would have."""
    chance = np.random.default_rng((SEED, step))
    large = [crops.draw(chance) for _ in range(BATCH)]
    small = [degradations.for_upscaling(degradations.halved(crop, chance), chance) for crop in large]
    return loop.stacked(small), loop.stacked(large)


@click.command()
@click.option("--steps", default=STEPS, show_default=True)
def main(steps: int) -> None:
    crops = Crops(pictures.training(), CROP, SHARES)
    loop.train(
        network(),
        lambda model, small: model(pixel_values=small).reconstruction,
        lambda step: batch(crops, step),
        loop.Plan(steps=steps, checkpoint=CHECKPOINT, peak_rate=8e-4),
    )


if __name__ == "__main__":
    main()
