"""A small recogniser of the things, trained on icons alone: the judge of what the model draws.

`python -m models.training.classifier --steps 1800` trains it and prints its accuracy on unseen placements and
on an icon set it has never seen (`noto-v1`). It never sees a picture that a network made. Its weights stay
outside the repository.
"""

import argparse
import math
import time

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training import checkpoints, packages, pictures
from models.training.devices import SplitGradients, autocast, prepare
from models.training.muon import MuonWithAdam
from models.training.things import BACKGROUNDS, SIDED, thing_words

NAME = "classifier"
BATCH = 64
LEARNING_RATE = 2e-3


class Residual(nn.Module):  # type: ignore[misc]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def new_classifier() -> nn.Module:
    """RGB [n, 3, 64, 64] in -1..1 -> logits [n, things], in the order of `thing_words()`."""
    widths = (32, 64, 128, 256)
    layers: list[nn.Module] = []
    before = 3
    for width in widths:
        layers += [nn.Conv2d(before, width, 4, stride=2, padding=1), Residual(width)]
        before = width
    head = [nn.GroupNorm(8, before), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, *head, nn.Linear(before, len(thing_words())))


class LabelledPictures:
    """Drawings at any place on any colour, some mirrored, blurred or noisy, with the index of their thing."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._pixels = pictures.load()
        order = {thing: index for index, thing in enumerate(thing_words())}
        drawings = pictures.all_drawings()
        self._labels = np.array([order[d.thing] for d in drawings])
        self._sided = np.array([d.thing in SIDED for d in drawings])
        weight = np.array([1.0 if d.paint is None else 0.3 for d in drawings])
        self._share = weight / weight.sum()
        self._named = np.array(list(BACKGROUNDS.values()), dtype=np.float32)

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        chance = self._chance
        drawn = chance.choice(len(self._pixels), size, p=self._share)
        places = chance.integers(0, self._pixels.shape[1], size)
        named = self._named[chance.integers(0, len(self._named), size)]
        colours = np.where(chance.random((size, 1)) < 0.6, named, chance.uniform(0, 255, (size, 3)))
        rgb = torch.from_numpy(pictures.compose(self._pixels[drawn, places], colours))
        mirrored = torch.from_numpy((chance.random(size) < 0.4) & ~self._sided[drawn])[:, None, None, None]
        rgb = torch.where(mirrored, rgb.flip(-1), rgb)
        shift = tuple(chance.integers(-4, 5, 2).tolist())
        rgb = functional.pad(rgb, (4, 4, 4, 4), mode="replicate")
        rgb = rgb[..., 4 + shift[0] : 68 + shift[0], 4 + shift[1] : 68 + shift[1]]
        blurred = functional.avg_pool2d(functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        blur = torch.from_numpy(chance.random((size, 1, 1, 1)).astype(np.float32)) ** 2
        rgb = torch.lerp(rgb, blurred, blur)
        noise = torch.from_numpy(chance.standard_normal(rgb.shape).astype(np.float32))
        rgb = rgb + noise * torch.from_numpy(0.12 * chance.random((size, 1, 1, 1)).astype(np.float32)) ** 1.5
        return rgb, torch.from_numpy(self._labels[drawn])


def unseen_pictures(set_name: str, scale: float) -> tuple[Tensor, Tensor]:
    """Every thing that `set_name` has, drawn at a size that training does not use, each on three colours."""
    known = packages.icon_set(set_name)
    drawn: list[pictures.Rgba] = []
    labels: list[int] = []
    for index, thing in enumerate(thing_words()):
        if thing in known["icons"] or thing in known.get("aliases", {}):
            drawn += [pictures.draw(set_name, thing, scale, 0.01, -0.01)] * 3
            labels += [index] * 3
    named: npt.NDArray[np.float32] = np.array(list(BACKGROUNDS.values()), dtype=np.float32)
    colours = named[np.random.default_rng(7).integers(0, len(named), len(drawn))]
    return torch.from_numpy(pictures.compose(np.stack(drawn), colours)), torch.tensor(labels)


@torch.no_grad()  # type: ignore[untyped-decorator]
def ranks(model: nn.Module, rgb: Tensor, labels: Tensor) -> Tensor:
    """For each picture, how many things the classifier holds more likely than its label: 0 is right."""
    logits = torch.cat([model(part) for part in rgb.split(200)])
    return (logits > logits.gather(1, labels[:, None])).sum(1)


def trained_classifier() -> nn.Module:
    kept = checkpoints.load(NAME)
    if kept is None:
        raise FileNotFoundError("no classifier yet; run python -m models.training.classifier first")
    model = new_classifier().eval()
    model.load_state_dict(kept["average"])
    return model


def train(steps: int) -> None:
    device = prepare()
    torch.manual_seed(3)
    model = new_classifier().to(device, memory_format=torch.channels_last)
    gradients = SplitGradients(model, device)
    optimizer = MuonWithAdam(model, LEARNING_RATE, gradients.pool)
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    stream = LabelledPictures(seed=11)
    noted = time.monotonic()
    for step in range(steps):
        rgb, labels = (tensor.to(device) for tensor in stream.batch(BATCH))

        def loss_of(part: slice, rgb: Tensor = rgb, labels: Tensor = labels) -> Tensor:
            with autocast(device):
                logits = model(rgb[part].to(memory_format=torch.channels_last))
            loss: Tensor = functional.cross_entropy(logits.float(), labels[part], label_smoothing=0.05)
            return loss

        loss = gradients(BATCH, loss_of)
        fall = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimizer.set_rate(LEARNING_RATE * min(1.0, (step + 1) / 100) * fall)
        optimizer.step()
        with torch.no_grad():
            for key, value in model.state_dict().items():
                average[key].lerp_(value, 1 - min(0.99, step / (step + 10)))
        if time.monotonic() - noted > 20:
            print(f"step {step} of {steps}, loss {loss:.3f}", flush=True)
            noted = time.monotonic()
    checkpoints.save(NAME, {"average": average})


def report() -> None:
    model = trained_classifier()
    for set_name, scale in (
        ("noto", 0.88),
        ("fluent-emoji-flat", 0.88),
        ("fluent-emoji", 0.88),
        ("noto-v1", 0.88),
    ):
        rgb, labels = unseen_pictures(set_name, scale)
        rank = ranks(model, rgb, labels)
        seen = "an unseen set" if set_name == pictures.CLASSIFIER_TEST_SET else "unseen placements"
        print(
            f"{set_name} ({seen}): {len(labels) // 3} things, "
            f"top-1 {(rank < 1).float().mean().item():.1%}, top-5 {(rank < 5).float().mean().item():.1%}"
        )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=1_800, help="0: only report")
    chosen = arguments.parse_args()
    if chosen.steps:
        train(chosen.steps)
    report()
