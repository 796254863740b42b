"""Where training keeps its files, and where what it made is committed.

`ATELIER_UPSCALER_TRAINING_DIR` moves the first. Everything in it can be made again.
"""

import os
from pathlib import Path
from typing import Final

TRAINING_DIR: Final = Path(os.environ.get("ATELIER_UPSCALER_TRAINING_DIR", "/var/tmp/atelier-upscaler"))
PICTURES: Final = TRAINING_DIR / "pictures"
CHECKPOINTS: Final = TRAINING_DIR / "checkpoints"

CARDS: Final = Path(__file__).parent / "cards"
"""Model cards without their numbers."""

UPSCALER: Final = Path(__file__).parents[1] / "upscale_2x"
DENOISER: Final = Path(__file__).parents[1] / "denoise_ui"
