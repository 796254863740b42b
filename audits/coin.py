"""Exact tests on pairs of pictures that came out differently: would a fair coin have done so too?

Of pairs of which both or neither need a fix nothing is learned about which is better (McNemar 1947).
"""

import math


def at_least(count: int, tosses: int, heads_ratio: float = 0.5) -> float:
    """How likely a coin shows so many heads or more."""
    return math.fsum(
        math.comb(tosses, heads) * heads_ratio**heads * (1 - heads_ratio) ** (tosses - heads)
        for heads in range(count, tosses + 1)
    )
