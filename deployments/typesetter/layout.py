"""What to set, in full: the closed schema of `options["layout"]`, and what a prompt is parsed into.

Names colours, icons and brands without knowing them; the renderer looks them up.
"""

import json
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from deployments.spec import ClosedModel

MAX_CHARACTERS = 400
MAX_LINES = 12


class Kind(StrEnum):
    BADGE = "badge"
    PILL = "pill"
    BUTTON = "button"
    BANNER = "banner"
    LABEL = "label"
    POSTER = "poster"
    CARD = "card"


class Corner(StrEnum):
    SQUARE = "square"
    ROUNDED = "rounded"
    ROUND = "round"


class Anchor(StrEnum):
    """Where on the canvas or the picture. `auto` is the middle, or where a picture is calm."""

    AUTO = "auto"
    TOP_LEFT = "top-left"
    TOP = "top"
    TOP_RIGHT = "top-right"
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM = "bottom"
    BOTTOM_RIGHT = "bottom-right"


class Align(StrEnum):
    START = "start"
    CENTER = "center"
    LEFT = "left"
    RIGHT = "right"


class Role(StrEnum):
    """`title` is the largest; `kicker` stands small above it, `body` small below it."""

    TITLE = "title"
    KICKER = "kicker"
    BODY = "body"


class Line(ClosedModel):
    text: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
    role: Role = Role.TITLE
    emphasis: bool = False

    @field_validator("text")
    @classmethod
    def _has_ink(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("there is no text to set: give at least one character that is not a space")
        return value


class Layout(ClosedModel):
    """`fill`, `ink`, `accent` and `page` are a brand's palette token, `#rrggbb`, or a colour name.

    `page` is the canvas around the shape: None leaves it transparent. `ink` is moved in lightness where
    it would not read on the fill. `icon`, `brand` and `font` are names the typesetter knows.
    """

    kind: Kind = Kind.BADGE
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=MAX_LINES)]
    fill: str | None = None
    ink: str | None = None
    accent: str | None = None
    page: str | None = None
    corner: Corner | None = None
    anchor: Anchor = Anchor.AUTO
    align: Align | None = None
    icon: str | None = None
    brand: str | None = None
    font: str | None = None
    uppercase: bool = False

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


if __name__ == "__main__":
    print(json.dumps(Layout.model_json_schema(), indent=2))
