"""A fair coin: the exact test behind every "more than chance" here, on pictures that came out differently."""

import math


def at_least(count: int, tosses: int) -> float:
    """How likely a fair coin shows so many heads or more."""
    ways = sum(math.comb(tosses, heads) for heads in range(count, tosses + 1))
    return float(ways / 2**tosses)
