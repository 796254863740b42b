from collections import Counter

import numpy as np
import pytest

from loadtests.workload import Shot, calls


def times(count):
    return np.arange(count, dtype=np.float64)


def test_shots_are_mixed_by_weight_and_the_same_for_the_same_seed():
    shots = [Shot("badge", ["a"], weight=3), Shot("poster", ["b"], weight=1), Shot("never", ["c"], weight=0)]
    drawn = list(calls(times(4000), shots, seed=5))
    counts = Counter(call.shot.name for call in drawn)
    assert counts["badge"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert counts["never"] == 0
    assert drawn == list(calls(times(4000), shots, seed=5))
    assert drawn != list(calls(times(4000), shots, seed=6))


def test_prompts_and_seeds_are_taken_in_turn():
    shot = Shot("badge", ["a", "b"], seeds=[1, 2, 3])
    assert [(call.prompt, call.seed) for call in calls(times(4), [shot])] == [
        ("a", 1),
        ("b", 2),
        ("a", 3),
        ("b", 1),
    ]


def test_the_body_is_openais_with_ours_in_one_object():
    shot = Shot(
        "badge",
        ["NEW"],
        model="auto",
        size="64x32",
        n=2,
        asset="ui-badge",
        seeds=[7],
        max_latency_ms=300,
        options={"deterministic": True},
    )
    (call,) = calls(times(1), [shot])
    assert call.body() == {
        "prompt": "NEW",
        "model": "auto",
        "size": "64x32",
        "n": 2,
        "response_format": "b64_json",
        "atelier": {"asset": "ui-badge", "seed": 7, "max_latency_ms": 300, "deterministic": True},
    }


def test_what_is_not_asked_for_is_left_to_the_service():
    (call,) = calls(times(1), [Shot("plain", ["x"])])
    assert call.body() == {"prompt": "x", "response_format": "b64_json"}


@pytest.mark.parametrize("shots", [[], [Shot("a", ["x"], weight=0)], [Shot("a", ["x"], weight=-1)]])
def test_a_mix_of_nothing_is_refused(shots):
    with pytest.raises(ValueError, match="weight"):
        list(calls(times(1), shots))
