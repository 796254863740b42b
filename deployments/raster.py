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

    def scaled(self, width: int | None, height: int | None) -> Pixels:
        """As large as it can be within the size asked for (its own without one), in its own proportions."""
        pixels = images.decode(self.image.data)
        scale = min(
            (width or self.image.width) / self.image.width, (height or self.image.height) / self.image.height
        )
        size = max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale))
        if size == (self.image.width, self.image.height):
            return pixels
        enlarged = Image.fromarray(pixels).convert("RGBA").resize(size, Image.Resampling.LANCZOS)
        return np.ascontiguousarray(np.asarray(enlarged))

    def render(self, width: int | None, height: int | None, encoding: Encoding) -> EncodedImage:
        """The picture `scaled` and `framed`, and the file itself where nothing has to change.

        SVG becomes PNG: a fallback answers with what it has.
        """
        if encoding.format is ImageFormat.SVG:
            encoding = replace(encoding, format=ImageFormat.PNG)
        size = (width or self.image.width, height or self.image.height)
        same_size = size == (self.image.width, self.image.height)
        if same_size and self.image.format is encoding.format and encoding.transparent:
            return self.image
        return images.encode(framed(self.scaled(width, height), *size), encoding)

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


def framed(pixels: Pixels, width: int, height: int) -> Pixels:
    """Centred on a canvas that is not smaller, transparent around it."""
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(pixels)
    canvas = Image.new("RGBA", (width, height), (255, 255, 255, 0))
    canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return np.ascontiguousarray(np.asarray(canvas))
