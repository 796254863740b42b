import numpy as np
import pytest

from loadtests.observation import Answer, Observation, Unanswered
from loadtests.slo import Objective, SloError, judge, parse_objective
from loadtests.summary import RunFacts, summarize
from loadtests.tally import Tally, tally
from loadtests.workload import Shot, calls

BADGE = Shot("badge", ["x"], max_latency_ms=100)
FREE = Shot("free", ["x"])


def seen(latency_ms, answer=None, shot=BADGE, late_ms=0.0, index=0, at_s=0.0):
    call = next(iter(calls(np.array([at_s]), [shot])))
    object.__setattr__(call, "index", index)
    return Observation(call, answer or Answer("ok", 200, route="badges"), late_ms, latency_ms)


def test_every_arrival_is_counted_once():
    counted = tally(
        [
            seen(50),
            seen(150),
            seen(5, Answer("refused_capacity", 429)),
            seen(0, Answer(Unanswered.DROPPED)),
            seen(900, Answer(Unanswered.UNFINISHED), late_ms=20),
        ]
    )
    total = counted.total
    assert (total.offered, total.ok, total.good, total.dropped, total.late) == (5, 2, 1, 1, 1)
    assert sum(total.outcomes.values()) == total.offered
    assert total.goodput_ratio == pytest.approx(1 / 5)
    assert total.error_ratio == pytest.approx(3 / 5)
    assert (total.latency.count, total.refusals.count) == (2, 2)
    assert counted.lateness.count == 4


def test_the_services_budget_counts_before_the_callers_and_none_is_unlimited():
    assert seen(150, Answer("ok", budget_ms=200)).good
    assert not seen(150).good
    assert seen(10**6, shot=FREE).good
    assert not seen(10**6, Answer("timeout"), shot=FREE).good


def test_tallies_of_processes_add_up_to_the_tally_of_all():
    observations = [
        seen(
            float(10 + index * 7 % 90),
            Answer("ok" if index % 3 else "timeout", route=f"r{index % 2}", rung=index % 2, model="m"),
            shot=FREE if index % 5 else BADGE,
            index=index,
            at_s=float(index // 10),
        )
        for index in range(100)
    ]
    together = tally(observations)
    apart = tally(observations[::2])
    apart.add(tally(observations[1::2]))
    facts = RunFacts("http://127.0.0.1", "x", 0, 10, 10, 0)
    ours, theirs = summarize(facts, apart), summarize(facts, together)
    assert ours["total"]["mean_ms"] == pytest.approx(theirs["total"]["mean_ms"])
    assert ours["slowest"] == theirs["slowest"]
    assert ours["timeline"] == theirs["timeline"]
    assert ours["by_route"].keys() == theirs["by_route"].keys() == {"r0", "r1"}
    assert ours["by_shot"]["free"]["outcomes"] == theirs["by_shot"]["free"]["outcomes"]


def test_the_slowest_are_kept_with_what_finds_their_traces():
    counted = Tally(keep_slowest=2)
    for index, latency_ms in enumerate([5, 50, 20, 40]):
        counted.record(seen(latency_ms, Answer("ok", trace_id=f"t{index}"), index=index))
    assert [(slow.latency_ms, slow.trace_id) for slow in counted.slowest] == [(50, "t1"), (40, "t3")]


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("p99_ms<=1200", Objective("p99_ms", True, 1200)),
        (" goodput_ratio >= 0.99 ", Objective("goodput_ratio", False, 0.99)),
        ("badges:error_ratio<=0.01", Objective("error_ratio", True, 0.01, "badges")),
    ],
)
def test_objectives_are_read(text, objective):
    assert parse_objective(text) == objective
    assert parse_objective(str(objective)) == objective


@pytest.mark.parametrize("text", ["", "p99_ms", "p99_ms<1", "p98_ms<=1", "p99_ms<=soon", "a:b:p99_ms<=1"])
def test_what_is_no_objective_is_refused_and_shown(text):
    with pytest.raises(SloError, match=text or "not an objective"):
        parse_objective(text)


def test_objectives_are_judged_on_all_or_on_a_route():
    counted = tally([seen(50), seen(150, Answer("ok", route="posters"))])
    met = {
        str(verdict.objective): verdict.met
        for verdict in judge(
            [
                Objective("max_ms", True, 150),
                Objective("max_ms", True, 149),
                Objective("max_ms", True, 50, "badges"),
                Objective("goodput_ratio", False, 0.5),
                Objective("max_ms", True, 10**9, "missing"),
            ],
            counted,
        )
    }
    assert list(met.values()) == [True, False, True, True, False]


def test_an_objective_on_nothing_measured_is_not_met():
    (verdict,) = judge([Objective("p99_ms", True, 10**9)], Tally())
    assert not verdict.met
