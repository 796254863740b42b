"""Trains the autoencoder: 64 px RGB <-> 8x8x24 latents (diffusers `AutoencoderKL`).

`python -m models.training.autoencoder --steps 850` resumes from its checkpoint. Knows pictures and colours;
nothing of captions.
"""

import argparse
import math
import time
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor
from torch.nn import functional

from models.training import checkpoints, pictures
from models.training.devices import SplitGradients, autocast, prepare
from models.training.muon import MuonWithAdam
from models.training.things import BACKGROUNDS

NAME = "autoencoder"
LATENT_CHANNELS = 24
BATCH = 32
LEARNING_RATE = 4e-3
WARM_UP_STEPS = 50
KL_WEIGHT = 1e-3
AVERAGE_DECAY = 0.99
SECONDS_BETWEEN_CHECKPOINTS = 120
SECONDS_BETWEEN_NOTES = 20


def new_autoencoder() -> AutoencoderKL:
    widths = (32, 48, 96, 128)
    model = AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=pictures.SIZE_PX,
        mid_block_add_attention=False,
        force_upcast=False,
    )
    for module in model.modules():
        if isinstance(
            module, ResnetBlock2D
        ):  # every residual block starts as the identity: learns far sooner
            torch.nn.init.zeros_(module.conv2.weight)
    torch.nn.init.constant_(model.quant_conv.bias[LATENT_CHANNELS:], -4)  # little noise at first
    return model


class PictureStream:
    """Endless batches: any drawing and place, on a named (3 of 4) or random colour, half of them mirrored."""

    def __init__(self, seed: int) -> None:
        self._pixels = pictures.load()
        self._colours = np.array(list(BACKGROUNDS.values()), dtype=np.float32)
        self.chance = np.random.default_rng(seed)

    def batch(self, size: int) -> Tensor:
        chance = self.chance
        drawings = chance.integers(0, len(self._pixels), size)
        places = chance.integers(0, self._pixels.shape[1], size)
        named = self._colours[chance.integers(0, len(self._colours), size)]
        any_colour = chance.uniform(0, 255, (size, 3))
        colours = np.where(chance.random((size, 1)) < 0.75, named, any_colour)
        composed = torch.from_numpy(pictures.compose(self._pixels[drawings, places], colours))
        mirrored = torch.from_numpy(chance.random(size) < 0.5)
        return torch.where(mirrored[:, None, None, None], composed.flip(-1), composed)


def reconstruction_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 on pixels, on their differences to neighbours (edges) and on a 4x smaller picture (colours)."""
    edges = sum(
        (functional.l1_loss(made.diff(dim=d), wanted.diff(dim=d)) for d in (-1, -2)), start=made.new_zeros(())
    )
    coarse = functional.l1_loss(functional.avg_pool2d(made, 4), functional.avg_pool2d(wanted, 4))
    return functional.l1_loss(made, wanted) + 0.5 * edges + 0.5 * coarse


class Training:
    """The autoencoder, its running average and its optimizer, from the last checkpoint on."""

    def __init__(self, decoder_only: bool) -> None:
        self._device = prepare()
        torch.manual_seed(1)
        self._model = new_autoencoder().to(self._device, memory_format=torch.channels_last)
        self._decoder_only = decoder_only
        if decoder_only:
            self._model.encoder.requires_grad_(False)
            self._model.quant_conv.requires_grad_(False)
        self._gradients = SplitGradients(self._model, self._device)
        self._optimizer = MuonWithAdam(self._model, LEARNING_RATE, self._gradients.pool)
        self._average = {key: value.detach().clone() for key, value in self._model.state_dict().items()}
        self.steps = 0
        kept = checkpoints.load(NAME)
        if kept is not None:
            self._restore(kept)
        self._warm_from = self.steps
        self._stream = PictureStream(seed=1000 + self.steps)

    def step(self, batch: int, rate: float) -> float:
        """Learns from one batch at the learning rate `rate`; returns its loss."""
        wanted = self._stream.batch(batch).to(self._device, memory_format=torch.channels_last)

        def loss_of(part: slice) -> Tensor:
            with autocast(self._device):
                posterior = self._model.encode(wanted[part]).latent_dist
                latents = posterior.mode() if self._decoder_only else posterior.sample()
                made = self._model.decode(latents).sample
            reconstruction = reconstruction_loss(made.float(), wanted[part])
            kl = posterior.kl().float().mean() / latents[0].numel()
            return reconstruction if self._decoder_only else reconstruction + KL_WEIGHT * kl

        loss = self._gradients(batch, loss_of)
        self._optimizer.set_rate(rate * min(1.0, (self.steps - self._warm_from + 1) / WARM_UP_STEPS))
        self._optimizer.step()
        self.steps += 1
        keep = min(AVERAGE_DECAY, self.steps / (self.steps + 20))
        with torch.no_grad():
            for key, value in self._model.state_dict().items():
                self._average[key].lerp_(value, 1 - keep)
        return loss

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def psnr_db(self) -> float:
        """Of the averaged weights on one fresh batch; 2 is the range of the pixels."""
        judged = new_autoencoder().to(self._device).eval()
        judged.load_state_dict(self._average)
        wanted = self._stream.batch(BATCH).to(self._device)
        made = judged.decode(judged.encode(wanted).latent_dist.mode()).sample
        return -10 * math.log10(functional.mse_loss(made.clamp(-1, 1), wanted).item() / 4)

    def save(self) -> None:
        state = {
            "model": self._model.state_dict(),
            "average": self._average,
            "optimizer": self._optimizer.state_dict(),
            "step": self.steps,
            "decoder_only": self._decoder_only,
        }
        checkpoints.save(NAME, state)

    def _restore(self, kept: dict[str, Any]) -> None:
        self._model.load_state_dict(kept["model"])
        self._average = {key: value.to(self._device) for key, value in kept["average"].items()}
        self.steps = kept["step"]
        if kept["decoder_only"] == self._decoder_only:
            self._optimizer.load_state_dict(kept["optimizer"])


def train(steps: int, decoder_only: bool) -> None:
    """Trains until `steps` were made in all; the learning rate falls to nearly zero there."""
    training = Training(decoder_only)
    noted = saved = time.monotonic()
    noted_step = training.steps
    while training.steps < steps:
        fall = 0.5 + 0.5 * math.cos(math.pi * training.steps / steps)
        loss = training.step(BATCH, LEARNING_RATE * (0.02 + 0.98 * fall))
        now = time.monotonic()
        if now - noted > SECONDS_BETWEEN_NOTES:
            pace = (training.steps - noted_step) * BATCH / (now - noted)
            print(f"step {training.steps} of {steps}, loss {loss:.4f} {pace:.0f} pictures/s", flush=True)
            noted, noted_step = now, training.steps
        if now - saved > SECONDS_BETWEEN_CHECKPOINTS:
            training.save()
            saved = now
    training.save()
    print(f"PSNR {training.psnr_db():.1f} dB")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--steps", type=int, default=850, help="in all; the learning rate falls to zero there"
    )
    arguments.add_argument(
        "--decoder-only", action="store_true", help="sharpen the decoder, keep the latents"
    )
    chosen = arguments.parse_args()
    train(chosen.steps, chosen.decoder_only)
