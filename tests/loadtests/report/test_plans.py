import pytest

from deployments.spec import Autoscaling, WorkScaling
from loadtests.report.plans import capacity_page, tuning_page
from loadtests.sizing import Answer, Kind, Probe
from loadtests.tuner import Settings, Trial, recommend
from tests.loadtests.report.browser import CHROMIUM, show

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.slow,
]


def test_a_browser_shows_the_tuning_without_errors_or_network(tmp_path):
    by_requests = Settings(Autoscaling(min_replicas=1, max_replicas=8))
    by_work = Settings(Autoscaling(min_replicas=0, max_replicas=8), WorkScaling(warm_spares=1))
    trials = [Trial(by_work, 3600.0 * hours, 0.1 / hours, 0.001) for hours in (5, 7, 11, 19)]
    found = recommend(Trial(by_requests, 3600.0 * 20, 0.03), trials, 0.01)
    judged = [("as it is", found.baseline, found.baseline), ("recommended", found.recommended, trials[2])]
    shown = show(tuning_page("diffusion <xl>", found, judged, "what binds is the promise"), tmp_path)
    assert (shown.failures, shown.asked) == ([], 0)
    assert shown.captions == ["What was tried", "On traffic not seen"]
    assert shown.lines >= 1
    assert shown.dots >= len(trials) + len(judged)
    assert shown.colours > 50


def test_a_browser_shows_the_capacity_without_errors_or_network(tmp_path):
    def answer(kind: Kind, enough: int) -> Answer:
        probes = [
            Probe(kind, 1.0, gpus, 900.0, 9000.0 / gpus, max(0.0, 0.2 - 0.05 * gpus), 20.0, 3600.0)
            for gpus in range(1, 7)
        ]
        twice = Probe(kind, 2.0, enough, 1200.0, None, 0.4, 30.0, 3600.0)
        return Answer(kind, probes[enough - 1], [twice], probes)

    answers = [answer(Kind("l4", 1.0, 0.7), 4), answer(Kind("h100", 4.0, 3.0), 2)]
    shown = show(capacity_page("evening <peak>", answers, "at most 1% late"), tmp_path)
    assert (shown.failures, shown.asked) == ([], 0)
    assert shown.captions == ["p99 by GPUs", "Broken promises"]
    assert shown.lines >= 4
    assert shown.colours > 50
