"""The denoising network: a small residual convolutional net at half resolution.

Knows tensors; nothing of tiles, files or requests.
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
LAYERS: Final = 7


class ResidualDenoiser(nn.Module):  # type: ignore[misc]
    """Predicts what is to be taken off (as DnCNN does, Zhang et al. 2017).

    Pixels are unshuffled by two, so that a receptive field of 37 pixels costs a quarter.

    Input and output (n, 3, height, width) in 0..1; height and width are even.
    """

    reach: Final = 2 * (2 + LAYERS)
    """Output depends on input pixels at most this far away."""

    def __init__(self, channels: int = 48) -> None:
        super().__init__()
        self.channels = channels
        self.unshuffle = nn.PixelUnshuffle(2)
        self.first = nn.Conv2d(12, channels, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(LAYERS))
        self.last = nn.Conv2d(channels, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.first(self.unshuffle(pixels - 0.5))
        for layer in self.body:
            features = features + layer(functional.leaky_relu(features, 0.1))
        noise: torch.Tensor = self.shuffle(self.last(functional.leaky_relu(features, 0.1)))
        return pixels - noise


def save(network: ResidualDenoiser, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    config = {"architecture": type(network).__name__, "channels": network.channels}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path) -> ResidualDenoiser:
    """Raises ValueError for weights of another architecture."""
    config = json.loads((folder / CONFIG_FILE).read_text())
    if config.get("architecture") != ResidualDenoiser.__name__:
        raise ValueError(f"{CONFIG_FILE} names architecture {config.get('architecture')!r}")
    network = ResidualDenoiser(config["channels"])
    network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    network.eval()
    return network
