"""Which variant an asset type should go to, and which may stand in for it: a decision from measured facts
alone.

A variant that missed a criterion is neither a promise nor a fallback, however quick it is. A winner is
declared only where the comparison with every other variant that passed shows it; where none does, the
present one stays. Knows neither policies nor files.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Beats = Callable[[str, str], bool]
"""Whether the audit shows that the first variant is better than the second, by more than chance."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One variant's measured facts for one asset type. `models` are the stages that answered, `steps`
    those of the first one. `missed` are the criteria it failed, in words; `cost_usd` is that of an
    accepted asset, staff included. `p95_high_ms` is the upper end of the interval of its p95."""

    variant: str
    models: tuple[str, ...]
    steps: int | None
    missed: tuple[str, ...]
    cost_usd: float
    p95_ms: float
    p95_high_ms: float

    @property
    def passed(self) -> bool:
        return not self.missed


@dataclass(frozen=True, slots=True)
class Choice:
    """`promise` None: nothing passed. `decided`: it is shown to be the best, or alone passed. `rungs` are
    cheaper settings of the promise's own models, best first. `because` says why, in one sentence;
    `left_out` why each of the others is neither rung nor fallback."""

    promise: Contender | None
    rungs: tuple[Contender, ...]
    fallbacks: tuple[Contender, ...]
    budget_ms: float | None
    because: str
    decided: bool
    left_out: tuple[tuple[str, str], ...]


def choose(
    contenders: Sequence[Contender], beats: Beats, present: str | None, head_room_ratio: float
) -> Choice:
    """`present` is the variant that the policy promises now, None where the audit did not measure it. The
    budget is the upper end of the promise's p95 times `head_room_ratio`."""
    passed = [each for each in contenders if each.passed]
    promise, because, decided = _promise(passed, beats, present)
    missed = [(each.variant, "; ".join(each.missed)) for each in contenders if not each.passed]
    if promise is None:
        return Choice(None, (), (), None, because, decided, tuple(missed))
    budget_ms = rounded_up(promise.p95_high_ms * head_room_ratio)
    rungs: list[Contender] = []
    fallbacks: list[Contender] = []
    slow: list[Contender] = []
    for each in sorted(passed, key=lambda each: (each.cost_usd, each.p95_ms, each.variant)):
        if each is promise:
            continue
        if each.models == promise.models:
            (rungs if each.p95_ms < promise.p95_ms else slow).append(each)
        else:
            (fallbacks if each.p95_ms <= budget_ms else slow).append(each)
    too_slow = [(each.variant, f"p95 {each.p95_ms:.0f} ms leaves no time for it") for each in slow]
    rungs.sort(key=lambda each: -each.p95_ms)
    return Choice(promise, tuple(rungs), tuple(fallbacks), budget_ms, because, decided, (*missed, *too_slow))


def rounded_up(value_ms: float) -> float:
    """To two significant digits: a budget is a promise, not a measurement."""
    unit = 10 ** max(0, math.floor(math.log10(max(value_ms, 1))) - 1)
    return float(math.ceil(value_ms / unit - 1e-9) * unit)


def _promise(
    passed: Sequence[Contender], beats: Beats, present: str | None
) -> tuple[Contender | None, str, bool]:
    if not passed:
        return None, "no variant passed every criterion; the route stays as it is", True
    if len(passed) == 1:
        return passed[0], f"{passed[0].variant} alone passed every criterion", True
    for each in passed:
        if all(beats(each.variant, other.variant) for other in passed if other is not each):
            return each, f"{each.variant} is shown to be better than every other that passed", True
    unbeaten = [each for each in passed if not any(beats(o.variant, each.variant) for o in passed)] or passed
    between = f"no winner is shown between {', '.join(each.variant for each in unbeaten)}"
    kept = next((each for each in unbeaten if each.variant == present), None)
    if kept is not None:
        return kept, f"{between}; {kept.variant} stays", False
    chosen = min(unbeaten, key=lambda each: (each.cost_usd, each.p95_ms, each.variant))
    beaten = "" if present is None else ", and the present one is not among them"
    return chosen, f"{between}{beaten}; {chosen.variant} costs least", False
