"""Encodes composed pictures once, so that the diffusion network trains on 8x8x24 latents from memory.

`python -m models.training.latents --pictures 80000` writes chunks; a running training picks new ones up.
Never composes a held-out combination. Knows the autoencoder and pictures; nothing of captions' words.
"""

import argparse
import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from models.training import checkpoints, pictures, places
from models.training.autoencoder import NAME, new_autoencoder
from models.training.captions import Subject, is_held_out
from models.training.devices import autocast, prepare
from models.training.things import BACKGROUNDS, DEFAULT_BACKGROUND, SIDED

CHUNK = 4_000
BATCH = 100
PAINTED_WEIGHT = 0.35
"""A painted drawing is taken this often for each time a natural one is."""
DEFAULT_BACKGROUND_RATIO = 0.25
MIRRORED_RATIO = 0.0
PLACEMENT_SHARES = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Only the centred drawing: with few passes over the data, one pose comes out well, many as blobs."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`latents` float16 [n, 24, 8, 8], unscaled posterior means; the others index drawings and colours."""

    latents: npt.NDArray[np.float16]
    drawings: npt.NDArray[np.int64]
    backgrounds: npt.NDArray[np.int64]

    def subjects(self) -> list[Subject]:
        drawings, words = pictures.all_drawings(), list(BACKGROUNDS)
        return [
            Subject(drawings[d].thing, drawings[d].style, drawings[d].paint, words[b])
            for d, b in zip(self.drawings.tolist(), self.backgrounds.tolist(), strict=True)
        ]


def chunk_paths() -> list[str]:
    return sorted(str(path) for path in places.LATENTS.glob("chunk-*.npz"))


def read_chunk(path: str) -> Chunk:
    with np.load(path) as stored:
        return Chunk(stored["latents"], stored["drawings"], stored["backgrounds"])


def scaling_factor() -> float:
    """1 / standard deviation of the first chunk's latents: what diffusers calls `scaling_factor`."""
    paths = chunk_paths()
    if not paths:
        raise FileNotFoundError(
            f"no latents in {places.LATENTS}; run python -m models.training.latents first"
        )
    return float(1 / read_chunk(paths[0]).latents.astype(np.float32).std())


def choose(count: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of drawings and of backgrounds of `count` pictures that training may see."""
    chance = np.random.default_rng(seed)
    drawings, words = pictures.all_drawings(), list(BACKGROUNDS)
    weight = np.array([1.0 if d.paint is None else PAINTED_WEIGHT for d in drawings])
    other = [i for i, word in enumerate(words) if word != DEFAULT_BACKGROUND]
    chosen: list[tuple[int, int]] = []
    while len(chosen) < count:
        index = int(chance.choice(len(drawings), p=weight / weight.sum()))
        white = chance.random() < DEFAULT_BACKGROUND_RATIO
        background = words.index(DEFAULT_BACKGROUND) if white else int(chance.choice(other))
        drawing = drawings[index]
        unseen = is_held_out(drawing.thing, drawing.style, words[background])
        if not unseen and drawing.paint != words[background]:
            chosen.append((index, background))
    pairs = np.array(chosen, dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]


@torch.no_grad()  # type: ignore[untyped-decorator]
def encode(count: int) -> None:
    device = prepare()
    kept = checkpoints.load(NAME)
    if kept is None:
        raise FileNotFoundError("no autoencoder yet; run python -m models.training.autoencoder first")
    model = new_autoencoder().to(device, memory_format=torch.channels_last).eval()
    model.load_state_dict(kept["average"])
    pixels = pictures.load()
    colours = np.array(list(BACKGROUNDS.values()), dtype=np.float32)
    drawn = pictures.all_drawings()
    places.LATENTS.mkdir(parents=True, exist_ok=True)
    for number in range(len(chunk_paths()), math.ceil(count / CHUNK)):
        drawings, backgrounds = choose(CHUNK, seed=number)
        chance = np.random.default_rng([number, 1])
        at = chance.choice(pixels.shape[1], CHUNK, p=PLACEMENT_SHARES)
        mirrored = (chance.random(CHUNK) < MIRRORED_RATIO) & np.array(
            [drawn[d].thing not in SIDED for d in drawings]
        )
        latents = []
        for start in range(0, CHUNK, BATCH):
            part = slice(start, start + BATCH)
            composed = pictures.compose(pixels[drawings[part], at[part]], colours[backgrounds[part]])
            composed[mirrored[part]] = composed[mirrored[part]][..., ::-1]
            rgb = torch.from_numpy(composed).to(device, memory_format=torch.channels_last)
            with autocast(device):
                means = model.encode(rgb).latent_dist.mode()
            latents.append(means.float().cpu().numpy().astype(np.float16))
        partial = places.LATENTS / "partial.npz"
        np.savez(partial, latents=np.concatenate(latents), drawings=drawings, backgrounds=backgrounds)
        os.replace(partial, places.LATENTS / f"chunk-{number:04d}.npz")
        print(f"{(number + 1) * CHUNK} of {count} pictures encoded", flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=80_000)
    encode(arguments.parse_args().pictures)
