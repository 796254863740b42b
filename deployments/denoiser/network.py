"""The denoising network: a small residual convolutional net on two scales.

Knows tensors; nothing of tiles, files beyond its weights, or requests.
"""

import json
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

WEIGHTS_FILE: Final = "model.safetensors"
CONFIG_FILE: Final = "config.json"
BLOCKS_BEFORE: Final = 2
BLOCKS_AFTER: Final = 3
"""At half resolution, before and after the coarse scale."""
COARSE_BLOCKS: Final = 2
"""At a quarter of the resolution."""
PERIOD: Final = 16
"""Pixels after which the marks of JPEG repeat: two blocks of eight, where colours are at half resolution."""


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions beside a shortcut (He et al. 2016), without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.first(features), inplace=True)
        change = self.second(inner)
        # In place spares a map, but in training it would round the sum to the bfloat16 of a convolution.
        return features + change if torch.is_grad_enabled() else change.add_(features)


class TwoScaleDenoiser(nn.Module):  # type: ignore[misc]
    """Predicts what is to be taken off (as DnCNN does, Zhang et al. 2017).

    Edges are repaired at half resolution, where pixels come unshuffled by two; context is gathered at a
    quarter, where a parameter costs a fourth and sees twice as far. A learned offset for each place in a
    `PERIOD` tells where JPEG's blocks begin: files that were never cropped have them at the top left.

    Input and output (n, 3, height, width) in 0..1; height and width are multiples of `PERIOD`.
    """

    reach: Final = 2 * (2 + 2 * (BLOCKS_BEFORE + BLOCKS_AFTER)) + 4 * (1 + 2 * COARSE_BLOCKS)
    """Output depends on input pixels at most this far away."""

    def __init__(self, channels: int = 32, coarse_channels: int = 48) -> None:
        super().__init__()
        self.channels = channels
        self.coarse_channels = coarse_channels
        self.unshuffle = nn.PixelUnshuffle(2)
        self.shuffle = nn.PixelShuffle(2)
        self.first = _convolution(12, channels)
        self.place = nn.Parameter(torch.zeros(1, channels, PERIOD // 2, PERIOD // 2))
        self.before = nn.Sequential(*(Block(channels) for _ in range(BLOCKS_BEFORE)))
        self.down = nn.Conv2d(channels, coarse_channels, 2, stride=2)
        self.coarse = nn.Sequential(*(Block(coarse_channels) for _ in range(COARSE_BLOCKS)))
        self.up = nn.Conv2d(coarse_channels, 4 * channels, 1)
        self.after = nn.Sequential(*(Block(channels) for _ in range(BLOCKS_AFTER)))
        self.last = _convolution(channels, 12)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        height, width = pixels.shape[2:]
        places = self.place.repeat(1, 1, height // PERIOD, width // PERIOD)
        fine = self.before(self.first(self.unshuffle(pixels - 0.5)) + places)
        context = self.shuffle(self.up(self.coarse(self.down(fine))))
        noise: torch.Tensor = self.shuffle(self.last(self.after(fine + context)))
        return pixels - noise


def save(network: TwoScaleDenoiser, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    config = {
        "architecture": type(network).__name__,
        "channels": network.channels,
        "coarse_channels": network.coarse_channels,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path) -> TwoScaleDenoiser:
    """Raises ValueError for weights of another architecture."""
    config = json.loads((folder / CONFIG_FILE).read_text())
    if config.get("architecture") != TwoScaleDenoiser.__name__:
        raise ValueError(f"{CONFIG_FILE} names architecture {config.get('architecture')!r}")
    network = TwoScaleDenoiser(config["channels"], config["coarse_channels"])
    network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    network.eval()
    return network


def _convolution(channels: int, wanted: int) -> nn.Conv2d:
    return nn.Conv2d(channels, wanted, 3, padding=1)
