from pathlib import Path

import pytest

from deployments.engine.costs import CostModel
from deployments.engine.profile import profile_of, read_profile, warm, write_profile
from deployments.engine.work import Shape

SHAPE = Shape(512, 512)


def learned() -> CostModel:
    costs = CostModel(8)
    for batch, seconds in ((1, 0.3), (4, 0.6)):
        costs.of(SHAPE).step.observe(batch, seconds)
    costs.of(SHAPE).prepare.observe(0.02)
    costs.of(SHAPE).decode.observe(0.05)
    costs.of(SHAPE).cap.failed(8)
    costs.of(Shape(512, 512, variant="pixel-art")).step.observe(1, 9.0)
    return costs


def test_what_was_learned_is_known_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    write_profile(profile_of(learned(), "sdxl", "abc", "cpu", "float32"), file)
    costs = CostModel(8)
    warm(costs, read_profile(file))
    assert costs.knows(SHAPE)
    assert costs.step_s(SHAPE, 8) == pytest.approx(1.0)
    assert costs.prepare_s(SHAPE) == pytest.approx(0.02)
    assert costs.decode_s(SHAPE) == pytest.approx(0.05)
    assert costs.cap(SHAPE) == 4


def test_adapters_are_not_part_of_a_profile() -> None:
    assert len(profile_of(learned(), "sdxl", "abc", "cpu", "float32").shapes) == 1


def test_a_file_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.json cannot be read"):
        read_profile(tmp_path / "gone.json")
    (tmp_path / "odd.json").write_text('{"model": "a", "shapes": [], "colour": "red"}')
    with pytest.raises(ValueError, match=r"odd\.json is not a profile"):
        read_profile(tmp_path / "odd.json")
