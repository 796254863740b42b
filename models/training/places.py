"""Where training keeps its files: outside the repository, in one folder.

`ATELIER_TRAINING_DIR` moves it. Everything in it can be made again by the steps in `models/README.md`.
"""

import os
from pathlib import Path
from typing import Final

TRAINING_DIR: Final = Path(os.environ.get("ATELIER_TRAINING_DIR", "/var/tmp/atelier-train"))
PACKAGES: Final = TRAINING_DIR / "packages"
PICTURES: Final = TRAINING_DIR / "pictures.npz"
LATENTS: Final = TRAINING_DIR / "latents"
CHECKPOINTS: Final = TRAINING_DIR / "checkpoints"

EXPORTED: Final = Path(__file__).parents[1] / "default"
"""What `from_pretrained` loads; committed."""
