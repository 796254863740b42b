import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.recommend.choosing import Contender, choose, rounded_up


def contender(
    variant: str, *missed: str, p95_ms: float = 100.0, cost_usd: float = 1.0, **fields
) -> Contender:
    fields = {"models": (variant,), "steps": None, **fields}
    return Contender(
        variant, missed=missed, cost_usd=cost_usd, p95_ms=p95_ms, p95_high_ms=p95_ms * 1.1, **fields
    )


def nobody(_one: str, _other: str) -> bool:
    return False


def ranked(*order: str):
    return lambda one, other: one in order and (other not in order or order.index(one) < order.index(other))


def test_a_faster_model_whose_text_cannot_be_read_is_never_a_fallback():
    quick = contender("creative", "legible 3 of 60, needs 95%", p95_ms=5)
    choice = choose([quick, contender("typesetter")], ranked("creative", "typesetter"), "creative", 1.25)
    assert choice.promise.variant == "typesetter"
    assert choice.fallbacks == ()
    assert choice.left_out == (("creative", "legible 3 of 60, needs 95%"),)
    assert choice.because == "typesetter alone passed every criterion"


def test_a_shown_winner_takes_the_route_and_the_others_stand_by():
    choice = choose(
        [contender("a"), contender("b", cost_usd=3), contender("c", cost_usd=2)], ranked("b"), "a", 1.25
    )
    assert choice.promise.variant == "b"
    assert [each.variant for each in choice.fallbacks] == ["a", "c"]


def test_without_a_winner_the_present_one_stays():
    choice = choose([contender("a", cost_usd=1), contender("b", cost_usd=2)], nobody, "b", 1.25)
    assert choice.promise.variant == "b"
    assert choice.because == "no winner is shown between a, b; b stays"


def test_without_a_winner_a_beaten_or_failed_present_one_goes():
    contenders = [contender("a", cost_usd=2), contender("b", cost_usd=1), contender("c")]
    assert choose(contenders, ranked("a"), "a", 1.25).promise.variant == "a"
    beaten = choose(contenders, lambda one, other: other == "c" and one != "c", "c", 1.25)
    assert beaten.promise.variant == "b"
    assert "the present one is not among them" in beaten.because


def test_nothing_passed_nothing_promised():
    choice = choose([contender("a", "ugly"), contender("b", "late")], nobody, "a", 1.25)
    assert (choice.promise, choice.budget_ms) == (None, None)
    assert "stays as it is" in choice.because


def test_fewer_steps_of_the_same_models_are_rungs_and_late_ones_are_left_out():
    full = contender("full", models=("m",), steps=20, p95_ms=400)
    half = contender("half", models=("m",), steps=10, p95_ms=200)
    few = contender("few", models=("m",), steps=5, p95_ms=100)
    slow = contender("slow", p95_ms=9000)
    choice = choose([few, half, full, slow], ranked("full"), None, 1.25)
    assert [each.variant for each in choice.rungs] == ["half", "few"]
    assert choice.left_out == (("slow", "p95 9000 ms leaves no time for it"),)


@pytest.mark.parametrize(
    ("value_ms", "budget_ms"), [(0.2, 1), (9.1, 10), (312.4, 320), (320, 320), (1201, 1300), (14_900, 15_000)]
)
def test_budgets_are_round(value_ms, budget_ms):
    assert rounded_up(value_ms) == budget_ms


CONTENDERS = st.lists(
    st.builds(
        lambda n, missed, p95, cost, family: contender(
            f"v{n}", *missed, p95_ms=p95, cost_usd=cost, models=(family,), steps=n + 1
        ),
        st.integers(0, 99), st.lists(st.just("ugly"), max_size=1), st.floats(1, 1e5), st.floats(0, 9),
        st.sampled_from("xyz"),
    ),
    unique_by=lambda each: each.variant,
)  # fmt: skip


@settings(deadline=None)
@given(CONTENDERS, st.randoms(use_true_random=False))
def test_every_contender_has_one_place_and_none_that_failed_may_answer(contenders, chance):
    better = {
        (one.variant, other.variant): chance.random() < 0.4
        for one, other in itertools.permutations(contenders, 2)
    }
    choice = choose(contenders, lambda one, other: better.get((one, other), False), None, 1.2)
    answering = [each for each in (choice.promise, *choice.rungs, *choice.fallbacks) if each is not None]
    assert all(each.passed for each in answering)
    places = [each.variant for each in answering] + [variant for variant, _ in choice.left_out]
    assert sorted(places) == sorted(each.variant for each in contenders)
    if choice.promise is not None:
        assert choice.budget_ms >= choice.promise.p95_high_ms * 1.2 - 1e-6
