"""Which option each model takes, and which replicas share a GPU, for the least money.

Branch and bound: exact where it ends within its effort, otherwise the best that was found, with a bound on
what the best possible could save. Sizes are whole percents of a GPU, so nothing is lost to rounding. Knows
options and prices, not why a size is what it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from loadtests.capacity.options import GpuType, Option

FULL = 100
EFFORT = 20_000
"""Nodes that a search may visit; ten times as many while it has found nothing at all."""

DEEPEST = 500
"""Replicas on one type of GPU up to which fewer GPUs are searched for than first fit needs."""

Bins = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Packing:
    """`devices` lists, by type of GPU, the models of each GPU's replicas. No packing costs less than
    `bound_usd_per_hour`."""

    chosen: Mapping[str, Option]
    devices: Mapping[str, Sequence[Sequence[str]]]
    usd_per_hour: float
    bound_usd_per_hour: float


def cheapest(
    options: Mapping[str, Sequence[Option]], gpus: Sequence[GpuType], effort: int = EFFORT
) -> Packing | None:
    """None if the GPUs that are available do not suffice. Every model needs at least one option."""
    search = _Search(options, {gpu.name: gpu for gpu in gpus}, effort)
    search.run()
    if search.best is None:
        return None
    bound = search.root_bound if search.cut_short else search.best_usd
    chosen = search.best
    devices = {name: _named(chosen, name) for name in sorted({each.gpu for each in chosen.values()})}
    return Packing(chosen, devices, search.best_usd, min(bound, search.best_usd))


@dataclass(slots=True)
class _Search:
    options: Mapping[str, Sequence[Option]]
    gpus: Mapping[str, GpuType]
    effort: int
    best: dict[str, Option] | None = None
    best_usd: float = math.inf
    root_bound: float = 0.0
    cut_short: bool = False
    _order: list[str] = field(default_factory=list)
    _rest_usd: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Models that cost much are decided first: mistakes there show early."""
        self._order = sorted(self.options, key=lambda name: (-self._least_usd(name), name))
        self._rest_usd = [0.0]
        for name in reversed(self._order):
            self._rest_usd.append(self._rest_usd[-1] + self._least_usd(name))
        self._rest_usd.reverse()
        self.root_bound = self._rest_usd[0]
        self._descend(0, {}, dict.fromkeys(self.gpus, ()))
        if self.cut_short:
            self._improve()

    def _improve(self) -> None:
        """Changes one model's option at a time for as long as that saves something."""
        before = math.inf
        while self.best is not None and self.best_usd < before - 1e-9:
            before = self.best_usd
            for name in self._order:
                for option in self.options[name]:
                    self._finish({**self.best, name: option})

    def _descend(self, depth: int, chosen: dict[str, Option], sizes: dict[str, tuple[int, ...]]) -> None:
        if self.effort <= (0 if self.best is not None else -9 * EFFORT):
            self.cut_short = True
            return
        self.effort -= 1
        if depth == len(self._order):
            self._finish(chosen)
            return
        name = self._order[depth]
        branches = []
        for option in self.options[name]:
            grown = {**sizes, option.gpu: (*sizes[option.gpu], *[option.percent] * option.replicas)}
            bound = self._bound(grown, self._rest_usd[depth + 1])
            branches.append((bound, option.replicas * option.percent, option, grown))
        branches.sort(key=lambda branch: branch[:2])
        for bound, _, option, grown in branches:
            if bound < self.best_usd - 1e-9:
                self._descend(depth + 1, {**chosen, name: option}, grown)

    def _finish(self, chosen: dict[str, Option]) -> None:
        """Packs a whole choice, and keeps it if it is the cheapest yet."""
        usd = 0.0
        for gpu in self.gpus:
            parts = ([option.percent] * option.replicas for option in chosen.values() if option.gpu == gpu)
            bins, proven = pack(tuple(sorted(chain.from_iterable(parts), reverse=True)))
            available = self.gpus[gpu].available
            if not proven:
                self.cut_short = True
            if available is not None and len(bins) > available:
                return
            usd += len(bins) * self.gpus[gpu].usd_per_hour
        if usd < self.best_usd - 1e-9:
            self.best, self.best_usd = chosen, usd

    def _bound(self, sizes: Mapping[str, tuple[int, ...]], rest_usd: float) -> float:
        """Whole GPUs for what is decided, or parts of GPUs for everything: whichever says more."""
        whole = parts = 0.0
        for gpu, size in sizes.items():
            price, count = self.gpus[gpu].usd_per_hour, lower_bound(size)
            available = self.gpus[gpu].available
            if available is not None and count > available:
                return math.inf
            whole += price * count
            parts += price * sum(size) / FULL
        return max(whole, parts + rest_usd)

    def _least_usd(self, name: str) -> float:
        return min(
            self.gpus[option.gpu].usd_per_hour * option.replicas * option.percent / FULL
            for option in self.options[name]
        )


def _named(chosen: Mapping[str, Option], gpu: str) -> list[list[str]]:
    """The packing of one type of GPU with models instead of sizes."""
    waiting: dict[int, list[str]] = {}
    for name, option in chosen.items():
        if option.gpu == gpu:
            waiting.setdefault(option.percent, []).extend([name] * option.replicas)
    sizes = sorted((size for size, names in waiting.items() for _ in names), reverse=True)
    return [[waiting[size].pop() for size in each] for each in pack(tuple(sizes))[0]]


@lru_cache(maxsize=65_536)
def pack(sizes: tuple[int, ...]) -> tuple[Bins, bool]:
    """Percents, the largest first, into the fewest GPUs; and whether no fewer could do."""
    best = _first_fit(sizes)
    least = lower_bound(sizes)
    while len(best) > least:
        tighter, ended = _into(sizes, len(best) - 1)
        if tighter is None:
            return best, ended
        best = tighter
    return best, True


def lower_bound(sizes: Sequence[int]) -> int:
    """GPUs that no packing can do without (L2 of Martello and Toth 1990)."""
    best = -(-sum(sizes) // FULL)
    for small in {size for size in sizes if size <= FULL // 2}:
        alone = [size for size in sizes if size > FULL - small]
        half = [size for size in sizes if FULL // 2 < size <= FULL - small]
        little = sum(size for size in sizes if small <= size <= FULL // 2)
        left = little - (len(half) * FULL - sum(half))
        best = max(best, len(alone) + len(half) + max(0, -(-left // FULL)))
    return max(best, sum(size > FULL // 2 for size in sizes))


def _first_fit(sizes: Sequence[int]) -> Bins:
    bins: list[list[int]] = []
    for size in sizes:
        room = next((each for each in bins if sum(each) + size <= FULL), None)
        if room is None:
            bins.append([size])
        else:
            room.append(size)
    return tuple(tuple(each) for each in bins)


def _into(sizes: Sequence[int], count: int) -> tuple[Bins | None, bool]:
    """A packing into `count` GPUs, if there is one; and whether the search ended within its effort."""
    bins: list[list[int]] = [[] for _ in range(count)]
    room = [FULL] * count
    spare = FULL * count - sum(sizes)
    left = [EFFORT]

    def place(index: int) -> bool:
        if index == len(sizes):
            return True
        left[0] -= 1
        tried = set()
        for number in range(count):
            if left[0] <= 0:
                return False
            if sizes[index] > room[number] or room[number] in tried:
                continue
            tried.add(room[number])
            room[number] -= sizes[index]
            bins[number].append(sizes[index])
            if place(index + 1):
                return True
            bins[number].pop()
            room[number] += sizes[index]
        return False

    if len(sizes) > DEEPEST:
        return None, False
    found = spare >= 0 and place(0)
    return (tuple(tuple(each) for each in bins) if found else None), left[0] > 0
