"""A file of what steps cost, so that a new replica predicts from its first request on.

Written by measuring a model, read at start. JSON, closed schema.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.engine.costs import CostModel
from deployments.engine.work import Shape

Seconds = Annotated[float, Field(ge=0)]


class ShapeProfile(BaseModel):
    """A step over `b` requests takes `step_fixed_s + b * step_per_request_s`; `max_batch` is what fits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    guided: bool = True
    step_fixed_s: Seconds
    step_per_request_s: Seconds
    prepare_s: Seconds
    decode_s: Seconds
    max_batch: Annotated[int, Field(ge=1)]

    @property
    def shape(self) -> Shape:
        return Shape(self.width, self.height, self.guided)


class Profile(BaseModel):
    """`revision` and `device` say what was measured: a profile of another model or device misleads.
    `memory_bytes` is the peak on the device, weights included; 0 where it was not measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str
    device: str
    dtype: str
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    shapes: list[ShapeProfile]


def profile_of(
    costs: CostModel, model: str, revision: str, device: str, dtype: str, memory_bytes: int = 0
) -> Profile:
    """What `costs` has learned of shapes without an adapter."""
    shapes = []
    for shape, learned in sorted(costs.shapes().items()):
        if shape.variant or not learned.step.observed:
            continue
        fixed_s, per_request_s = learned.step.coefficients()
        shapes.append(
            ShapeProfile(
                width=shape.width,
                height=shape.height,
                guided=shape.guided,
                step_fixed_s=fixed_s,
                step_per_request_s=per_request_s,
                prepare_s=costs.prepare_s(shape),
                decode_s=costs.decode_s(shape),
                max_batch=learned.cap.size,
            )
        )
    return Profile(
        model=model,
        revision=revision,
        device=device,
        dtype=dtype,
        memory_bytes=memory_bytes,
        shapes=shapes,
    )


def warm(costs: CostModel, profile: Profile) -> None:
    """Teaches `costs` the profile, as if each shape had been seen a few times alone and at its cap."""
    for measured in profile.shapes:
        learned = costs.of(measured.shape)
        learned.cap.size = min(learned.cap.size, measured.max_batch)
        learned.prepare.observe(measured.prepare_s)
        learned.decode.observe(measured.decode_s)
        for _ in range(4):
            for batch in (1, max(2, measured.max_batch)):
                learned.step.observe(batch, measured.step_fixed_s + batch * measured.step_per_request_s)


def differences(profile: Profile, revision: str, device: str, dtype: str) -> list[str]:
    """What was measured and what runs, where they are not the same: such times would mislead."""
    measured = {"revision": profile.revision, "device": profile.device, "dtype": profile.dtype}
    running = {"revision": revision, "device": device, "dtype": dtype}
    return [
        f"{name} {measured[name]}, not {running[name]}"
        for name in measured
        if measured[name] != running[name]
    ]


def read_profile(file: Path) -> Profile:
    """Raises ValueError that names the file's problem and what to do."""
    try:
        return Profile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ValueError(f"profile {file.name} cannot be read ({error.strerror}): measure again") from None
    except ValidationError as error:
        raise ValueError(f"profile {file.name} is not a profile: {error}") from None


def write_profile(profile: Profile, file: Path) -> None:
    file.write_text(profile.model_dump_json(indent=2) + "\n", encoding="utf-8")
