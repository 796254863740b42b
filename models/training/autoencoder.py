"""Trains the autoencoder: 64 px RGB <-> 8x8x24 latents (diffusers `AutoencoderKL`).

`python -m models.training.autoencoder --minutes 25` resumes from its checkpoint. Knows pictures and colours;
nothing of captions.
"""

import argparse
import math
import time

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor
from torch.nn import functional

from models.training import checkpoints, pictures
from models.training.devices import ThreadChoice, autocast, prepare
from models.training.muon import MuonWithAdam
from models.training.things import BACKGROUNDS

NAME = "autoencoder"
LATENT_CHANNELS = 24
BATCH = 32
LEARNING_RATE = 4e-3
WARM_UP_STEPS = 50
KL_WEIGHT = 1e-3
SECONDS_BETWEEN_CHECKPOINTS = 120


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


def train(minutes: float, ends_at_step: int, decoder_only: bool) -> None:
    device = prepare()
    torch.manual_seed(1)
    model = new_autoencoder().to(device, memory_format=torch.channels_last)
    if decoder_only:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    optimizer = MuonWithAdam(model, LEARNING_RATE)
    step, average = 0, {k: v.detach().clone() for k, v in model.state_dict().items()}
    kept = checkpoints.load(NAME)
    if kept is not None:
        model.load_state_dict(kept["model"])
        average, step = kept["average"], kept["step"]
        if kept["decoder_only"] == decoder_only:
            optimizer.load_state_dict(kept["optimizer"])
    stream = PictureStream(seed=1000 + step)
    threads = ThreadChoice()
    started = noted = saved = time.monotonic()
    first_step = noted_step = step
    while step < ends_at_step and time.monotonic() - started < 60 * minutes:
        progress = step / ends_at_step
        warm = min(1.0, (step - first_step + 1) / WARM_UP_STEPS)
        optimizer.set_rate(LEARNING_RATE * warm * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * progress))))
        wanted = stream.batch(BATCH).to(device, memory_format=torch.channels_last)
        with autocast(device):
            posterior = model.encode(wanted).latent_dist
            latents = posterior.mode() if decoder_only else posterior.sample()
            made = model.decode(latents).sample
        reconstruction = reconstruction_loss(made.float(), wanted)
        kl = posterior.kl().float().mean() / latents[0].numel()
        (reconstruction + (0 if decoder_only else KL_WEIGHT * kl)).backward()
        optimizer.step()
        threads.step_done()
        step += 1
        keep = min(0.99, step / (step + 20))
        with torch.no_grad():
            for key, value in model.state_dict().items():
                average[key].lerp_(value, 1 - keep)
        now = time.monotonic()
        if now - noted > 20:
            psnr = -10 * math.log10(functional.mse_loss(made.float(), wanted).item() / 4)
            speed = (step - noted_step) * BATCH / (now - noted)
            print(
                f"step {step} loss {reconstruction.item():.4f} kl {kl.item():.2f} psnr {psnr:.2f} dB "
                f"latent std {latents.float().std().item():.2f} "
                f"{speed:.0f} img/s with {torch.get_num_threads()} threads",
                flush=True,
            )
            noted, noted_step = now, step
        if now - saved > SECONDS_BETWEEN_CHECKPOINTS:
            _save(model, average, optimizer, step, decoder_only)
            saved = now
    _save(model, average, optimizer, step, decoder_only)


def _save(
    model: AutoencoderKL, average: dict[str, Tensor], optimizer: MuonWithAdam, step: int, decoder_only: bool
) -> None:
    state = {
        "model": model.state_dict(),
        "average": average,
        "optimizer": optimizer.state_dict(),
        "step": step,
        "decoder_only": decoder_only,
    }
    checkpoints.save(NAME, state)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=600)
    arguments.add_argument("--steps", type=int, default=4000, help="the learning rate ends here")
    arguments.add_argument(
        "--decoder-only", action="store_true", help="sharpen the decoder, keep the latents"
    )
    chosen = arguments.parse_args()
    train(chosen.minutes, chosen.steps, chosen.decoder_only)
