"""The recorded week of production traffic, where it is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from loadtests.scenario import parse_scenario

SHARED = Path(os.environ.get("ATELIER_SHARED") or Path(__file__).parents[2].parent / "shared")
TRACE = SHARED / "traces" / "gentd26_week1.csv"


@pytest.mark.skipif(not TRACE.exists(), reason=f"{TRACE} is not at hand")
def test_a_recorded_week_replays_in_ten_minutes():
    week_s, played_s = 7 * 86_400, 600.0
    scenario = parse_scenario(
        f"trace: {{file: {TRACE}, time_scale: {played_s / week_s}, duration_s: {played_s}}}\n"
        "shots: [{name: x, prompts: [y]}]\n"
    )
    times = scenario.times()
    assert len(times) > 8000
    assert (np.diff(times) >= 0).all()
    # Fewer come on the sixth day than on any other.
    days = np.histogram(times, np.linspace(0, played_s, 8))[0]
    assert days.argmin() == 5
