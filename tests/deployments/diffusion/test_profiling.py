"""Models measured, and what a profile does for the next start."""

from pathlib import Path

import pytest

from deployments.diffusion.profiling import batches_up_to, profile_model
from deployments.engine.profile import read_profile, write_profile
from tests.deployments.diffusion.conftest import SIZE, MakeModel, MakeSpec


async def test_a_model_is_profiled_and_the_profile_warms_the_next_start(
    make_model: MakeModel, make_spec: MakeSpec, tmp_path: Path
) -> None:
    profile = profile_model("tiny", make_spec(), sizes=[(SIZE, SIZE), (2 * SIZE, SIZE)], batches=[1, 2])
    assert [(one.width, one.height, one.guided) for one in profile.shapes] == [
        (SIZE, SIZE, True),
        (2 * SIZE, SIZE, True),
    ]
    file = tmp_path / "profile.json"
    write_profile(profile, file)
    assert read_profile(file) == profile
    model = await make_model(profile=str(file))
    assert profile.revision == model.revision
    assert model.profile().shapes[1].step_fixed_s == pytest.approx(profile.shapes[1].step_fixed_s)


async def test_a_profile_of_another_device_is_passed_over_and_said_so(
    make_model: MakeModel, make_spec: MakeSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "profile.json"
    measured = profile_model("tiny", make_spec(), sizes=[(2 * SIZE, SIZE)], batches=[1])
    write_profile(measured.model_copy(update={"device": "NVIDIA H100"}), file)
    model = await make_model(profile=str(file))
    assert [shape.width for shape in model.profile().shapes] == [SIZE], "only what it measured itself"
    assert "profile profile.json is not used, it was measured with device NVIDIA H100, not cpu" in caplog.text


def test_sizes_that_a_model_cannot_make_are_named_before_anything_is_measured(make_spec: MakeSpec) -> None:
    with pytest.raises(ValueError, match="size 65x64: width and height must be multiples of 8"):
        profile_model("tiny", make_spec(), sizes=[(64, 64), (65, 64)], batches=[1])
    with pytest.raises(ValueError, match="size 80000x8000 is over tiny's max_pixels"):
        profile_model("tiny", make_spec(), sizes=[(80_000, 8_000)], batches=[1])


def test_a_model_that_shares_no_calls_is_measured_alone(make_spec: MakeSpec) -> None:
    spec = make_spec(execution="opaque")
    (shape,) = profile_model("tiny", spec, sizes=[(SIZE, SIZE)], batches=[1, 2]).shapes
    assert shape.max_batch == 1


def test_batches_double_up_to_the_largest() -> None:
    assert [batches_up_to(largest) for largest in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]
