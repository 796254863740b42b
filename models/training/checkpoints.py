"""Checkpoints: written whole or not at all, found again by the step that wrote them.

Knows files; nothing of what is trained.
"""

import os
from pathlib import Path
from typing import Any

import torch

from models.training import places


def path(name: str) -> Path:
    return places.CHECKPOINTS / f"{name}.pt"


def save(name: str, state: dict[str, Any]) -> None:
    """Replaces the checkpoint `name` atomically: an interrupted write leaves the one before."""
    places.CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    partial = path(name).with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path(name))


def load(name: str) -> dict[str, Any] | None:
    """The checkpoint `name`, or None when there is none. Unpickles only tensors and plain containers."""
    if not path(name).exists():
        return None
    state: dict[str, Any] = torch.load(path(name), map_location="cpu", weights_only=True)
    return state
