"""Writes the trained upscaler and its card: `python -m models.upscaler_training.export_upscaler`.

The card's numbers come from this run, through the code that serves the model.
"""

import shutil
from string import Template

import numpy as np
from PIL import Image

from deployments.tiles.backend import Backend
from deployments.tiles.work import TileWork
from deployments.upscaler.backends import load_backend
from deployments.upscaler.spec import UpscalerSpec
from models.upscaler_training import degradations, evaluate, loop, pictures, places, train_upscaler
from models.upscaler_training.artwork import Picture


def main() -> None:
    network, step = loop.trained(train_upscaler.network(), train_upscaler.CHECKPOINT)
    shutil.rmtree(places.UPSCALER, ignore_errors=True)
    network.save_pretrained(places.UPSCALER, safe_serialization=True)
    spec = UpscalerSpec(kind="upscaler", weights=str(places.UPSCALER))
    ours = load_backend(spec)
    restorers = {
        "bicubic": lambda picture: resampled(picture, Image.Resampling.BICUBIC),
        "Lanczos": lambda picture: resampled(picture, Image.Resampling.LANCZOS),
        "this model": lambda picture: served(ours, spec, picture),
    }
    scores = evaluate.table(restorers, held_out_sets())
    print(f"step {step}\n{scores}")
    card = Template((places.CARDS / "upscale_2x.md").read_text()).substitute(
        scores=scores,
        parameters=f"{sum(tensor.numel() for tensor in network.parameters()):,}",
        megabytes=f"{(places.UPSCALER / 'model.safetensors').stat().st_size / 1e6:.2f}",
        steps=step,
    )
    (places.UPSCALER / "README.md").write_text(card)


def held_out_sets() -> dict[str, list[tuple[Picture, Picture]]]:
    """(small, large) pairs: clean, and the icons again through the light degradations of training."""
    icons = pictures.held_out_icons()
    clean = {
        "icons: flat-color-icons, a set never trained on, 128 px": icons["flat-color-icons"],
        "icons: unseen names of the trained sets, 128 px": icons["unseen names"],
        "rendered text: unseen fonts and words, 256x96 px": pictures.held_out_text(),
        "interface art, 128 px": pictures.held_out_flat(),
    }
    sets = {title: [(halved(large), large) for large in group] for title, group in clean.items()}
    chance = np.random.default_rng(4)
    worn = [degradations.jpeg(halved(large), 85, 2) for large in icons["flat-color-icons"]]
    grainy = [
        degradations.with_grain(halved(large), chance.normal(0, 1, (64, 64, 3)), 3.0, smooth=True)
        for large in icons["flat-color-icons"]
    ]
    sets["flat-color-icons, small side through JPEG 85"] = _pairs(worn, icons["flat-color-icons"])
    sets["flat-color-icons, small side with smooth grain"] = _pairs(grainy, icons["flat-color-icons"])
    return sets


def _pairs(small: list[Picture], large: list[Picture]) -> list[tuple[Picture, Picture]]:
    return list(zip(small, large, strict=True))


def halved(large: Picture) -> Picture:
    return np.asarray(
        Image.fromarray(large).resize((large.shape[1] // 2, large.shape[0] // 2), Image.Resampling.BICUBIC)
    )


def resampled(small: Picture, kernel: Image.Resampling) -> Picture:
    return np.asarray(Image.fromarray(small).resize((small.shape[1] * 2, small.shape[0] * 2), kernel))


def served(backend: Backend, spec: UpscalerSpec, small: Picture) -> Picture:
    return evaluate.through(TileWork(backend, spec, 2, small))


if __name__ == "__main__":
    main()
