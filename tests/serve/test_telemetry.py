from itertools import pairwise

import pytest

from deployments import telemetry as of_replicas
from serve import telemetry

NAMES = {name: value for name, value in vars(telemetry).items() if name.isupper()}
UNITS = ("_total", "_ms", "_ratio", "_bytes", "_usd")


@pytest.mark.parametrize("prefix", ["SPAN_", "ATTR_", "METRIC_"])
def test_no_two_names_mean_the_same(prefix: str) -> None:
    values = [value for name, value in NAMES.items() if name.startswith(prefix)]
    assert len(values) == len(set(values)) > 0


def test_a_router_and_a_replica_call_the_same_thing_the_same() -> None:
    theirs = {name: value for name, value in vars(of_replicas).items() if name.startswith("ATTR_")}
    shared = theirs.keys() & NAMES.keys()
    assert "ATTR_REQUEST_ID" in shared
    assert {name: theirs[name] for name in shared} == {name: NAMES[name] for name in shared}


# Gauges of what has no unit: 0 or 1, or a number of things.
COUNTS = {"METRIC_POLICY_STALE", "METRIC_BREAKER_OPEN", "METRIC_BATCH_LINES"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("METRIC_")])
def test_a_metric_s_name_says_its_unit(name: str) -> None:
    assert NAMES[name].startswith("atelier_")
    assert NAMES[name].endswith(UNITS) or name in COUNTS


@pytest.mark.parametrize("boundaries", [telemetry.DURATION_BOUNDARIES_MS, telemetry.RATIO_BOUNDARIES])
def test_histogram_boundaries_rise_from_above_zero(boundaries: list[float]) -> None:
    assert boundaries[0] > 0
    assert all(low < high for low, high in pairwise(boundaries))
