"""The upscaler as a model. Output is `spec.factor` times the size of `request.image`.

What it shares with other models that work in tiles is in deployments/tiles/model.py.
"""

from deployments.telemetry import SPAN_UPSCALE
from deployments.tiles.backend import Backend
from deployments.tiles.model import TiledModel
from deployments.upscaler.backends import load_backend
from deployments.upscaler.spec import UpscalerSpec


class UpscalerModel(TiledModel):
    """The request's own width, height and seed are not read: the image says what comes out."""

    span = SPAN_UPSCALE

    def __init__(self, name: str, spec: UpscalerSpec) -> None:
        super().__init__(name, spec, spec.factor)
        self._upscaler = spec

    def _load_backend(self) -> Backend:
        return load_backend(self._upscaler)
