import pytest

from deployments.tiles.pace import Pace


def test_nothing_observed_predicts_nothing() -> None:
    assert Pace().predict_ms(3.0) == 0.0


def test_learns_a_steady_pace() -> None:
    pace = Pace()
    pace.assume(overhead_ms=5.0, ms_per_megapixel=1.0)
    for megapixels in (0.5, 2.0, 1.0):
        pace.observe(megapixels, 5.0 + 400 * megapixels)
    assert pace.predict_ms(1.0) == pytest.approx(405, rel=0.02)
    assert pace.observed == 3


def test_follows_a_change() -> None:
    pace = Pace()
    for _ in range(50):
        pace.observe(1.0, 100.0)
    for _ in range(30):
        pace.observe(1.0, 300.0)
    assert pace.predict_ms(1.0) == pytest.approx(300, rel=0.05)
