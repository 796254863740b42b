import pytest

from deployments.tiles.pace import Pace


def predicted_ms(pace: Pace, megapixels: float) -> float:
    return pace.overhead_ms + pace.ms_per_megapixel * megapixels


def test_nothing_observed_predicts_nothing() -> None:
    assert predicted_ms(Pace(), 3.0) == Pace().least_ms(3.0) == 0.0


def test_learns_a_steady_pace() -> None:
    pace = Pace()
    pace.assume(overhead_ms=5.0, ms_per_megapixel=1.0)
    for megapixels in (0.5, 2.0, 1.0):
        pace.observe(megapixels, 5.0 + 400 * megapixels)
    assert predicted_ms(pace, 1.0) == pytest.approx(405, rel=0.02)
    assert pace.observed == 3


def test_follows_a_change_but_refuses_only_by_the_best() -> None:
    pace = Pace()
    for _ in range(50):
        pace.observe(1.0, 100.0)
    for _ in range(30):
        pace.observe(1.0, 300.0)
    assert predicted_ms(pace, 1.0) == pytest.approx(300, rel=0.05)
    assert pace.least_ms(2.0) == 200.0


def test_refusals_loosen_the_bound_that_caused_them() -> None:
    pace = Pace()
    for _ in range(3):
        pace.observe(1.0, 1000.0)
    for _ in range(30):
        pace.refused()
    assert pace.least_ms(1.0) < 50


def test_small_outputs_and_a_few_observations_refuse_nobody() -> None:
    pace = Pace()
    for _ in range(10):
        pace.observe(0.01, 1000.0)
    pace.observe(1.0, 1000.0)
    assert pace.least_ms(100.0) == 0.0


def test_an_overhead_measured_on_a_busy_machine_is_corrected() -> None:
    pace = Pace()
    pace.assume(overhead_ms=900.0, ms_per_megapixel=1.0)
    for megapixels in (0.1, 1.0, 0.1, 1.0):
        pace.observe(megapixels, 10.0 + 100 * megapixels)
    assert predicted_ms(pace, 0.1) < 60
