import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity.document import published
from loadtests.capacity.times import ImageTimes, fitted


def test_a_line_is_found_again() -> None:
    times = fitted({batch: 0.2 + 0.05 * batch for batch in (1, 2, 4, 8)})
    assert times.fixed_s == pytest.approx(0.2)
    assert times.each_s == pytest.approx(0.05)
    assert times.max_batch == 8


def test_one_measurement_has_no_fixed_part() -> None:
    assert fitted({4: 2.0}) == ImageTimes(0.0, 0.5, max_batch=4)


def test_no_part_is_negative() -> None:
    """Batches that cost more than proportionally, as of large images."""
    times = fitted({1: 1.0, 2: 2.21, 4: 4.47})
    assert times.fixed_s == 0
    assert 1.0 <= times.each_s <= 1.12


@pytest.mark.parametrize("name", published())
def test_published_times_are_met(name: str) -> None:
    """Within a fifth at every batch size: what was published is not quite a line."""
    entry = published()[name]
    times = fitted(entry.batch_s)
    for batch, seconds in entry.batch_s.items():
        assert times.latency_s(batch) == pytest.approx(seconds, rel=0.2), batch


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 10), st.integers(1, 64), st.floats(0, 100))
def test_the_largest_batch_keeps_the_time_and_the_next_does_not(
    fixed_s: float, each_s: float, beside_s: float, max_batch: int, latency_s: float
) -> None:
    times = ImageTimes(fixed_s, each_s, beside_s, max_batch)
    batch = times.largest_batch(latency_s)
    assert 0 <= batch <= max_batch
    if batch > 0:
        assert times.latency_s(batch) <= latency_s + 1e-8
    if batch < max_batch:
        assert times.latency_s(batch + 1) > latency_s
