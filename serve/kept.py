"""What is read of a receipt that somebody kept. Imports no model."""

from typing import Any

from pydantic import BaseModel, Field

from deployments.types import StageReceipt


class Part(BaseModel):
    """Of a receipt, possibly of another version: fields that came since are passed over."""


class Stage(Part):
    model: str
    revision: str
    width: int
    height: int
    seed: int | None = None
    steps: int | None = None
    pixels_sha256: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)

    def receipt(self) -> StageReceipt:
        return StageReceipt(queue_ms=0.0, run_ms=0.0, **self.model_dump())


class Image(Part):
    seed: int
    generated: bool = True
    stages: list[Stage]
