"""Config of the typography renderer."""

from typing import Literal

from deployments.spec import BaseSpec


class TypesetterSpec(BaseSpec):
    """Sets text as vector graphics and draws it: the same bytes for the same request and versions."""

    kind: Literal["typesetter"]
    max_pixels: int = 4096 * 4096
