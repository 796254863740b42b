from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from audits.review.pairing import Exhibit, plan_pairs


def exhibits(questions: int, variants: int, assets: int = 1) -> list[Exhibit]:
    return [
        Exhibit(
            f"{q}-{v}", f"{q}", f"asset {q % assets}", f"prompt {q}", f"variant {v}", Path(f"{q}-{v}.png")
        )
        for q in range(questions)
        for v in range(variants)
    ]


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(1, 5), st.integers(0, 2**32))
def test_every_picture_is_seen_and_only_with_another_answer_to_its_question(questions, variants, seed):
    pairs = plan_pairs(exhibits(questions, variants), seed)
    seen = Counter(side.sample for pair in pairs for side in (pair.left, pair.right))
    assert len(pairs) == (questions * -(-variants // 2) if variants > 1 else 0)
    assert set(seen) == ({each.sample for each in exhibits(questions, variants)} if variants > 1 else set())
    assert all(count <= 2 for count in seen.values())
    for pair in pairs:
        assert pair.left.question == pair.right.question
        assert pair.left.variant != pair.right.variant
    assert len({pair.id for pair in pairs}) == len(pairs)


def test_the_seed_alone_decides_the_layout():
    shown = exhibits(20, 2)
    assert plan_pairs(shown, 3) == plan_pairs(reversed(shown), 3)
    assert plan_pairs(shown, 3) != plan_pairs(shown, 4)


def test_sides_are_fair():
    pairs = plan_pairs(exhibits(400, 2), 1)
    left = sum(pair.left.variant == "variant 0" for pair in pairs)
    assert 160 < left < 240  # five standard deviations of a fair coin are 50 either way


def test_a_short_review_sees_every_asset_type():
    pairs = plan_pairs(exhibits(30, 2, assets=3), 5, count=7)
    counted = Counter(pair.left.asset for pair in pairs)
    assert len(pairs) == 7
    assert sorted(counted.values()) == [2, 2, 3]
