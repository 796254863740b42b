"""Brand kits: a YAML file each, so that what is set keeps to a brand's guidelines (docs/brand-kits.md).

Knows the files; knows nothing of requests.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree as ET

import yaml
from pydantic import Field, ValidationError, field_validator

from deployments.spec import ClosedModel
from deployments.typesetter.colour import Colour, parse_colour
from deployments.typesetter.layout import Corner

_XML_PROLOGUE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", re.DOTALL)
_MAX_LOGO_BYTES = 256 * 1024


class BrandFile(ClosedModel):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    palette: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], str] = Field(default_factory=dict)
    fill: str | None = None
    ink: str | None = None
    accent: str | None = None
    page: str | None = None
    font: str | None = None
    weight: Annotated[int, Field(ge=100, le=900)] | None = None
    corner: Corner | None = None
    radius_ratio: Annotated[float, Field(ge=0, le=0.5)] | None = None
    padding_ratio: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    uppercase: bool = False
    logo: str | None = None

    @field_validator("palette")
    @classmethod
    def _palette_is_colours(cls, value: dict[str, str]) -> dict[str, str]:
        for token, colour in value.items():
            try:
                parse_colour(colour)
            except ValueError as error:
                raise ValueError(f"palette token {token!r}: {error}") from None
        return value


@dataclass(frozen=True, slots=True)
class BrandKit:
    """`tokens` is the palette, resolved. `logo_svg` is an `<svg>` element to nest, None without a logo."""

    file: BrandFile
    tokens: Mapping[str, Colour] = field(default_factory=dict)
    logo_svg: str | None = None


NO_BRAND = BrandKit(BrandFile(name="none"))


def load_brand_kits(folder: Path, families: tuple[str, ...]) -> dict[str, BrandKit]:
    """By name, from every .yaml file of `folder`. Raises ValueError naming file and fault."""
    if not folder.is_dir():
        raise ValueError(f"the folder of brand kits {str(folder)!r} does not exist")
    kits: dict[str, BrandKit] = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        kit = _load(path, families)
        if kit.file.name in kits:
            raise ValueError(f"brand kit {path.name}: the name {kit.file.name!r} is taken by another file")
        kits[kit.file.name] = kit
    return kits


def _load(path: Path, families: tuple[str, ...]) -> BrandKit:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        file = BrandFile.model_validate(content)
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"brand kit {path.name}: {error}") from None
    tokens = {token: parse_colour(value) for token, value in file.palette.items()}
    for role in ("fill", "ink", "accent", "page"):
        if (value := getattr(file, role)) is not None:
            try:
                parse_colour(value, tokens)
            except ValueError as error:
                raise ValueError(f"brand kit {path.name}: {role}: {error}") from None
    if file.font is not None and file.font not in families:
        raise ValueError(
            f"brand kit {path.name}: unknown font {file.font!r}: choose one of {', '.join(families)}"
        )
    return BrandKit(file, tokens, _read_logo(path, file.logo))


def _read_logo(brand_path: Path, logo: str | None) -> str | None:
    if logo is None:
        return None
    path = brand_path.parent / logo
    if not path.is_file() or path.stat().st_size > _MAX_LOGO_BYTES:
        raise ValueError(
            f"brand kit {brand_path.name}: logo {logo!r} is not a file of at most {_MAX_LOGO_BYTES} bytes"
        )
    try:
        svg = _XML_PROLOGUE.sub("", path.read_text(encoding="utf-8")).strip()
        root = ET.fromstring(svg)
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"brand kit {brand_path.name}: logo {logo!r} is not XML: {error}") from None
    if not svg.startswith("<svg") or "viewBox" not in root.attrib:
        raise ValueError(f"brand kit {brand_path.name}: logo {logo!r} is not an <svg> with a viewBox")
    return svg
