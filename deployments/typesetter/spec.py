"""Config of the typography renderer."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from deployments.spec import BaseSpec
from deployments.typesetter.layout import Kind


class TypesetterSpec(BaseSpec):
    """Sets text as vector graphics and draws it: the same bytes for the same request and versions.

    `brand_kits` is a folder of YAML files (brand.py), `fonts` a folder of further .ttf and .otf files.
    `default_kind` is what a prompt that names no kind gets.
    """

    kind: Literal["typesetter"]
    max_pixels: Annotated[int, Field(ge=64 * 64)] = 4096 * 4096
    brand_kits: Path | None = None
    fonts: Path | None = None
    default_kind: Kind = Kind.BADGE
