from typing import Any

import pytest

from deployments import errors
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.tasks import Kind, shape_of, task_of
from deployments.types import Encoding, ImageFormat, RenderRequest
from tests.deployments.diffusion.conftest import half_mask, picture

SPEC = DiffusionSpec(
    kind="diffusion",
    weights="/models/some",
    default_steps=20,
    default_guidance_scale=4.0,
    max_pixels=512 * 512,
)


def request(**changes: Any) -> RenderRequest:
    values: dict[str, Any] = {"request_id": "r", "prompt": "a fox", "width": 64, "height": 64, "seed": 0}
    return RenderRequest(**{**values, **changes})


def test_what_the_caller_leaves_open_comes_from_the_config() -> None:
    task = task_of(request(), SPEC, size_multiple=8)
    assert (task.kind, task.steps, task.guidance_scale) == (Kind.TEXT_TO_IMAGE, 20, 4.0)
    assert task.expected_steps == 20


def test_an_image_makes_it_an_edit_and_a_mask_an_inpainting() -> None:
    assert task_of(request(image=picture(0)), SPEC, 8).kind is Kind.IMAGE_TO_IMAGE
    assert task_of(request(image=picture(0), mask=half_mask()), SPEC, 8).kind is Kind.INPAINT


def test_an_edit_takes_only_part_of_the_steps() -> None:
    assert task_of(request(image=picture(0), strength=0.25), SPEC, 8).expected_steps == 5


def test_guidance_of_one_is_none() -> None:
    assert not shape_of(task_of(request(guidance_scale=1.0), SPEC, 8)).guided
    assert shape_of(task_of(request(), SPEC, 8)).guided


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"width": 60}, "size"),
        ({"width": 520, "height": 512}, "size"),
        ({"encoding": Encoding(ImageFormat.SVG)}, "output_format"),
        ({"steps": 0}, "steps"),
        ({"steps": 101}, "steps"),
        ({"mask": half_mask()}, "mask"),
        ({"image": picture(0), "strength": 0.0}, "strength"),
        ({"image": picture(0), "strength": 1.5}, "strength"),
        ({"image": picture(0), "strength": 0.04}, "strength"),
        ({"lora": "unknown"}, "lora"),
    ],
)
def test_bad_requests_name_the_field(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        task_of(request(**changes), SPEC, size_multiple=8)
    assert refused.value.param == param
