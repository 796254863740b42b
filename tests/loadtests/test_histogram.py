import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.histogram import Histogram

latencies = st.lists(st.floats(0, 1e7), min_size=1, max_size=200)


@given(latencies, st.floats(0, 1))
def test_quantiles_are_within_a_fifth_of_a_percent_of_the_truth(values, q):
    truth = sorted(values)[max(1, math.ceil(q * len(values) - 1e-9)) - 1]
    assert Histogram(values).quantile_ms(q) == pytest.approx(truth, rel=0.002, abs=0.001)


@given(latencies, latencies)
def test_histograms_add_up_as_if_they_had_been_one(first, second):
    added = Histogram(first)
    added.add(Histogram(second))
    together = Histogram(first + second)
    assert added.cumulative() == together.cumulative()
    assert (added.count, added.max_ms, added.min_ms) == (together.count, together.max_ms, together.min_ms)
    assert added.mean_ms == pytest.approx(together.mean_ms)


@given(latencies)
def test_json_keeps_everything(values):
    histogram = Histogram(values)
    restored = Histogram.from_json(json.loads(json.dumps(histogram.to_json())))
    assert restored.to_json() == histogram.to_json()
    assert restored.count == histogram.count


def test_the_cumulative_distribution_ends_at_one():
    points = Histogram([1, 2, 2, 50]).cumulative()
    assert [round(share, 2) for _, share in points] == [0.25, 0.75, 1.0]


def test_an_empty_histogram_has_no_quantiles():
    assert Histogram().quantile_ms(0.5) is None
    assert Histogram().mean_ms is None
    assert Histogram.from_json(Histogram().to_json()).count == 0


@pytest.mark.parametrize("value", [-1, math.inf, math.nan])
def test_what_is_no_latency_is_refused(value):
    with pytest.raises(ValueError, match="cannot be recorded"):
        Histogram([value])


def test_another_resolution_is_refused():
    with pytest.raises(ValueError, match="sub_bits"):
        Histogram.from_json({"sub_bits": 3, "buckets": []})
