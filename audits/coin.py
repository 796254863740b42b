"""Exact tests on pairs of pictures that came out differently: would a fair coin have done so too?

Of pairs of which both or neither need a fix nothing is learned about which is better (McNemar 1947).
"""

import math
from collections.abc import Callable

from routing.feedback import Interval, wilson


def at_least(count: int, tosses: int, heads_ratio: float = 0.5) -> float:
    """How likely a coin shows so many heads or more."""
    return math.fsum(
        math.comb(tosses, heads) * heads_ratio**heads * (1 - heads_ratio) ** (tosses - heads)
        for heads in range(count, tosses + 1)
    )


def paired_difference(more: int, less: int, count: int, alpha: float) -> Interval:
    """Of the difference of two shares over `count` pairs, `more` of which have only the first and `less`
    only the second: Clopper and Pearson's interval (1934) for the coin, scaled to the pairs that differ.
    It leaves out 0 exactly when the two-sided sign test does at `alpha`. Where no pair differs, what so
    many pairs rule out."""
    differing = more + less
    if count == 0:
        return Interval(-1.0, 1.0)
    if differing == 0:
        high = wilson(0, count).high
        return Interval(-high, high)
    low = 0.0 if more == 0 else _solve(lambda ratio: at_least(more, differing, ratio) - alpha / 2)
    high = 1.0 if less == 0 else 1 - _solve(lambda ratio: at_least(less, differing, ratio) - alpha / 2)
    scale = differing / count
    return Interval(scale * (2 * low - 1), scale * (2 * high - 1))


def _solve(rising: Callable[[float], float]) -> float:
    """Where it crosses 0 between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
