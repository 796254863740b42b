"""Baked pictures that stand in when no model can answer: a library in memory, checked when it is loaded.

An asset is a file made beforehand. It is marked as not generated wherever it is served; this module only
says which there are, how large, and what their bytes hash to. Knows nothing of routes or HTTP.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from deployments import images
from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels, StageReceipt

MAX_ASSET_BYTES = 16 * 1024 * 1024
MAX_ASSET_PIXELS = 4096 * 4096
_FORMATS: Mapping[str, ImageFormat] = {
    "PNG": ImageFormat.PNG,
    "JPEG": ImageFormat.JPEG,
    "WEBP": ImageFormat.WEBP,
}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class RasterAsset:
    """`revision` is a hash of the file: two libraries with equal revisions serve equal bytes."""

    name: str
    image: EncodedImage
    revision: str

    def pixels(self) -> Pixels:
        return images.decode(self.image.data)

    def render(self, width: int | None, height: int | None, encoding: Encoding) -> EncodedImage:
        """Whole and centred in the size asked for (its own without one), transparent around it.

        The file itself where nothing has to change. SVG becomes PNG: a fallback answers with what it has.
        """
        if encoding.format is ImageFormat.SVG:
            encoding = replace(encoding, format=ImageFormat.PNG)
        size = (width or self.image.width, height or self.image.height)
        same_size = size == (self.image.width, self.image.height)
        if same_size and self.image.format is encoding.format and encoding.transparent:
            return self.image
        pixels = self.pixels()
        return images.encode(pixels if same_size else _contained(pixels, *size), encoding)

    def receipt(self, width: int, height: int) -> StageReceipt:
        details = {"generated": False, "asset": self.name}
        return StageReceipt(
            f"raster:{self.name}", self.revision, width, height, queue_ms=0.0, run_ms=0.0, details=details
        )


class RasterLibrary:
    """Assets by their path below one folder, as a policy names them (`badges/sale.png`)."""

    def __init__(self, assets: Mapping[str, RasterAsset]) -> None:
        self._assets = dict(assets)

    @classmethod
    def load(cls, folder: Path, paths: Iterable[str] | None = None) -> "RasterLibrary":
        """Reads and decodes `paths`, or all below `folder`. Raises ValueError that names a bad one."""
        if not folder.is_dir():
            raise ValueError(f"the folder of raster assets {str(folder)!r} does not exist")
        if paths is None:
            found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
            paths = [path.relative_to(folder).as_posix() for path in found]
        return cls({path: _load_asset(folder, path) for path in dict.fromkeys(paths)})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._assets)

    def __contains__(self, name: str) -> bool:
        return name in self._assets

    def asset(self, name: str) -> RasterAsset:
        """Raises KeyError for what `names` lacks: a policy is checked against it when it is loaded."""
        return self._assets[name]


def _load_asset(folder: Path, name: str) -> RasterAsset:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"raster asset {name!r} lies outside the folder of assets")
    if not path.is_file():
        raise ValueError(f"raster asset {name!r} does not exist")
    if path.stat().st_size > MAX_ASSET_BYTES:
        raise ValueError(f"raster asset {name!r} is over the limit of {MAX_ASSET_BYTES} bytes")
    data = path.read_bytes()
    kind, width, height = _decoded(name, data)
    if kind not in _FORMATS:
        raise ValueError(f"raster asset {name!r} is {kind}: use one of {', '.join(_FORMATS)}")
    encoded = EncodedImage(data, _FORMATS[kind], width, height)
    return RasterAsset(name, encoded, f"raster-{hashlib.sha256(data).hexdigest()[:12]}")


def _decoded(name: str, data: bytes) -> tuple[str, int, int]:
    """Format, width and height of a picture that decodes to its end."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_ASSET_PIXELS:
                raise ValueError(f"{width}x{height} is over the limit of {MAX_ASSET_PIXELS} pixels")
            image.load()
            return image.format or "unknown", width, height
    except UnidentifiedImageError:
        raise ValueError(f"raster asset {name!r} is not a picture") from None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"raster asset {name!r} cannot be decoded: {error}") from None


def _contained(pixels: Pixels, width: int, height: int) -> Pixels:
    image = Image.fromarray(pixels).convert("RGBA")
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new("RGBA", (width, height), (255, 255, 255, 0))
    corner = (width - size[0]) // 2, (height - size[1]) // 2
    canvas.paste(image.resize(size, Image.Resampling.LANCZOS), corner)
    return np.ascontiguousarray(np.asarray(canvas))
