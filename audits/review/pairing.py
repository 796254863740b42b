"""Which two pictures a person sees together, in which order and on which side.

A pair holds two variants' answers to the same question (asset type, prompt and seed). Order and sides come
from a seed, so a session can be laid out again from what its file says. Knows nothing of files or the
page.
"""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One picture to judge. `question` is equal for pictures that answer the same one; `variant` made it."""

    sample: str
    question: str
    asset: str
    prompt: str
    variant: str
    path: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """`id` does not depend on the sides, and does not say which variants it holds."""

    id: str
    left: Exhibit
    right: Exhibit


def plan_pairs(exhibits: Iterable[Exhibit], seed: int, count: int | None = None) -> tuple[Pair, ...]:
    """Every picture stands in one pair; of an odd number of variants one is seen twice. Questions that
    only one variant has answered are left out. With `count`, as many pairs as that, spread evenly over
    asset types."""
    chance = random.Random(seed)
    questions: dict[str, list[Exhibit]] = {}
    for exhibit in sorted(exhibits, key=lambda each: each.sample):
        questions.setdefault(exhibit.question, []).append(exhibit)
    by_asset: dict[str, list[Pair]] = {}
    for group in questions.values():
        chance.shuffle(group)
        by_asset.setdefault(group[0].asset, []).extend(
            _sided(first, second, chance) for first, second in _couples(group, chance)
        )
    for pairs in by_asset.values():
        chance.shuffle(pairs)
    chosen = _spread(list(by_asset.values()), count)
    chance.shuffle(chosen)
    return tuple(chosen)


def pair_id(one: str, other: str) -> str:
    """12 hex digits of the two samples' ids, whichever comes first."""
    return hashlib.sha256("\n".join(sorted((one, other))).encode()).hexdigest()[:12]


def _couples(group: Sequence[Exhibit], chance: random.Random) -> list[tuple[Exhibit, Exhibit]]:
    couples = list(zip(group[::2], group[1::2], strict=False))
    if len(group) % 2 and len(group) > 1:
        couples.append((group[-1], chance.choice(group[:-1])))
    return couples


def _sided(first: Exhibit, second: Exhibit, chance: random.Random) -> Pair:
    left, right = (first, second) if chance.random() < 0.5 else (second, first)
    return Pair(pair_id(left.sample, right.sample), left, right)


def _spread(stacks: list[list[Pair]], count: int | None) -> list[Pair]:
    """One of each stack in turn, until there are enough or none are left."""
    total = sum(map(len, stacks))
    wanted = total if count is None else min(count, total)
    chosen: list[Pair] = []
    depth = 0
    while len(chosen) < wanted:
        layer = [stack[depth] for stack in stacks if depth < len(stack)]
        chosen += layer[: wanted - len(chosen)]
        depth += 1
    return chosen
