from loadtests.report.compare import compare
from tests.loadtests.report.runs import made_up_run


def verdicts(before, after):
    return {change.name: change.verdict for change in compare(before, after)}


def test_a_run_against_itself_has_not_changed():
    run = made_up_run()
    assert set(verdicts(run, run).values()) == {"same"}


def test_a_slower_run_is_worse_and_the_other_way_round_better():
    fast, slow = made_up_run(), made_up_run(slower=1.8)
    assert {name: verdicts(fast, slow)[name] for name in ("p50_ms", "goodput_ratio")} == {
        "p50_ms": "worse",
        "goodput_ratio": "worse",
    }
    assert verdicts(slow, fast)["p50_ms"] == "better"


def test_equal_services_do_not_differ_in_goodput_beyond_chance():
    runs = [made_up_run(seed=seed) for seed in range(12)]
    outcomes = [verdicts(runs[0], run)["goodput_ratio"] for run in runs[1:]]
    assert outcomes.count("same") >= 9


def test_nothing_measured_is_no_change():
    empty = made_up_run(seconds=0)
    assert set(verdicts(empty, made_up_run()).values()) == {"same"}
