"""The denoiser as a model: takes marks off `request.image`, then snaps its colours to a palette if asked.

`request.options` may hold `palette` (a list of "#rrggbb", "auto" or null) and `snap_levels`, which then
take the place of the spec's. What it shares with other models that work in tiles is in
deployments/tiles/model.py.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from deployments import errors
from deployments.denoiser import palette
from deployments.denoiser.backend import DenoiserBackend
from deployments.denoiser.spec import Colour, DenoiserSpec
from deployments.spec import ClosedModel
from deployments.telemetry import SPAN_RESTORE
from deployments.tiles.backend import Backend
from deployments.tiles.model import Finisher, TiledModel
from deployments.types import Pixels, RenderRequest


class DenoiseOptions(ClosedModel):
    """What a request may say. None keeps what the spec says; an empty list turns snapping off."""

    palette: Annotated[tuple[Colour, ...], Field(max_length=256)] | Literal["auto"] | None = None
    snap_levels: Annotated[int, Field(ge=0, le=64)] | None = None


class DenoiserModel(TiledModel):
    """Output has the size of the input; alpha stays as it is."""

    span = SPAN_RESTORE

    def __init__(self, name: str, spec: DenoiserSpec) -> None:
        super().__init__(name, spec, factor=1)
        self._denoiser = spec

    def _load_backend(self) -> Backend:
        return DenoiserBackend(Path(self._denoiser.weights))

    def _finisher(self, request: RenderRequest) -> Finisher | None:
        options = _options(request)
        wanted = self._denoiser.palette if options.palette is None else options.palette
        levels = self._denoiser.snap_levels if options.snap_levels is None else options.snap_levels
        if not wanted:
            return None

        def finish(pixels: Pixels) -> None:
            colours = palette.flat_colours(pixels, levels) if wanted == "auto" else palette.parsed(wanted)
            palette.snap(pixels, colours, levels)

        return finish


def _options(request: RenderRequest) -> DenoiseOptions:
    """Only its own keys are read: other stages of the same request find theirs beside them."""
    own = {name: request.options[name] for name in DenoiseOptions.model_fields if name in request.options}
    try:
        return DenoiseOptions.model_validate(own)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise errors.InvalidRequest(f"options.{where}: {first['msg']}", f"options.{where}") from None
