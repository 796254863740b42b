import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.engine.costs import RETRY_AFTER, RISE_AFTER, Cap, CostModel, Line
from deployments.engine.work import Shape

SHAPE = Shape(512, 512)


def taught(*points: tuple[int, float], times: int = 10) -> CostModel:
    costs = CostModel(max_batch=8)
    for _ in range(times):
        for batch, seconds in points:
            costs.of(SHAPE).step.observe(batch, seconds)
    return costs


def test_a_line_is_learned_from_two_batch_sizes() -> None:
    costs = taught((1, 0.3), (4, 0.6))
    assert costs.step_s(SHAPE, 1) == pytest.approx(0.3)
    assert costs.step_s(SHAPE, 8) == pytest.approx(1.0)


def test_from_one_batch_size_half_is_taken_to_be_fixed() -> None:
    assert taught((2, 0.4)).step_s(SHAPE, 4) == pytest.approx(0.6)


def test_recent_steps_count_more() -> None:
    costs = taught((1, 0.1), (4, 0.4), times=100)
    for _ in range(200):
        costs.of(SHAPE).step.observe(1, 0.2)
        costs.of(SHAPE).step.observe(4, 0.8)
    assert costs.step_s(SHAPE, 4) == pytest.approx(0.8, rel=0.05)


def test_one_pause_is_no_trend() -> None:
    costs = taught((1, 0.1), (4, 0.25), times=50)
    costs.of(SHAPE).step.observe(4, 60.0)
    assert costs.step_s(SHAPE, 4) < 0.3


@given(st.lists(st.tuples(st.integers(1, 8), st.floats(0.001, 10)), min_size=1, max_size=60))
def test_more_requests_never_cost_less(points: list[tuple[int, float]]) -> None:
    line = Line()
    for batch, seconds in points:
        line.observe(batch, seconds)
    fixed, slope = line.coefficients()
    assert fixed >= 0
    assert slope >= 0


def test_nothing_seen_means_nothing_is_predicted() -> None:
    costs = CostModel(max_batch=8)
    assert (costs.step_s(SHAPE, 1), costs.prepare_s(SHAPE), costs.decode_s(SHAPE)) == (0.0, 0.0, 0.0)
    assert not costs.knows(SHAPE)


def test_an_unseen_size_is_scaled_from_the_nearest() -> None:
    costs = taught((1, 0.1))
    costs.of(Shape(64, 64)).step.observe(1, 9.0)
    larger = Shape(1024, 512)
    assert costs.step_s(larger, 1) == pytest.approx(0.2)
    assert not costs.knows(larger)


def test_guidance_doubles_an_unseen_step() -> None:
    assert taught((1, 0.1)).step_s(Shape(512, 512, guided=False), 1) == pytest.approx(0.05)


def test_cost_by_megapixel_is_a_line_over_the_sizes_seen() -> None:
    costs = CostModel(max_batch=8)
    for width, seconds in ((500, 0.15), (1000, 0.2), (2000, 0.3)):
        costs.of(Shape(width, 1000)).step.observe(1, seconds)
    assert costs.step_by_megapixel(1) == pytest.approx((0.1, 0.1))


def test_one_size_is_taken_to_grow_with_the_pixels() -> None:
    costs = CostModel(max_batch=8)
    costs.of(Shape(1000, 500)).step.observe(1, 0.1)
    assert costs.step_by_megapixel(1) == pytest.approx((0.0, 0.2))


def test_a_failure_halves_the_cap_and_success_raises_it_to_just_under_the_failure() -> None:
    cap = Cap(8, 8)
    cap.failed(8)
    assert cap.size == 4
    for _ in range(RISE_AFTER * 10):
        cap.succeeded(cap.size)
    assert cap.size == 7


def test_the_size_that_failed_is_tried_again_much_later() -> None:
    cap = Cap(4, 4)
    cap.failed(4)
    while cap.size < 3:
        cap.succeeded(cap.size)
    for _ in range(RETRY_AFTER):
        cap.succeeded(3)
    assert cap.size == 4


def test_a_failure_falls_back_to_what_has_worked() -> None:
    cap = Cap(8, 8)
    cap.succeeded(5)
    cap.failed(6)
    assert cap.size == 5


def test_smaller_batches_say_nothing_about_a_larger_cap() -> None:
    cap = Cap(8, 8)
    cap.failed(8)
    for _ in range(1000):
        cap.succeeded(1)
    assert cap.size == 4


def test_the_cap_never_falls_under_one() -> None:
    cap = Cap(8, 8)
    for _ in range(9):
        cap.failed(cap.size)
    assert cap.size == 1
