"""What an audit measured, as review, report, recommendation and watch read it. Says nothing of where it is
stored."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """One criterion on one picture. `value` is in the criterion's own unit; `note` says what a person
    would want to know of a miss, such as what was read instead of the text. `calls_for_fix`: whether
    somebody has to mend a picture that misses it; nobody mends one that came late."""

    criterion: str
    passed: bool
    value: float | None = None
    note: str = ""
    calls_for_fix: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer. `question` is equal for answers of several variants to the same prompt, seed and repeat,
    and each variant answers it once. `picture` is None where none came, and `error` says why. `models` are
    the stages that really answered; `steps` is what the first was asked for, None where it took its own
    default."""

    id: str
    asset: str
    variant: str
    question: str
    prompt: str
    seed: int
    picture: Path | None
    readings: tuple[Reading, ...]
    latency_ms: float | None = None
    gpu_s: float = 0.0
    cost_usd: float = 0.0
    substituted: bool = False
    models: tuple[str, ...] = ()
    steps: int | None = None
    receipt: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def missed(self) -> tuple[Reading, ...]:
        return tuple(each for each in self.readings if not each.passed)

    @property
    def needs_fix(self) -> bool:
        """As predicted by the thresholds."""
        return self.picture is None or any(each.calls_for_fix for each in self.missed)


@dataclass(frozen=True, slots=True)
class Criterion:
    """What an asset type asks of a picture. `threshold` is in words; of a variant's pictures, at least
    `required_ratio` must pass."""

    name: str
    threshold: str
    required_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Rates:
    """`fix_minutes` is taken for a fix where nobody timed one."""

    staff_usd_per_hour: float = 60.0
    gpu_usd_per_hour: float = 0.0
    fix_minutes: float = 10.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """`criteria` by asset type, in the order of the audit's file. `versions` name what was measured and by
    what."""

    name: str
    target: str
    started_unix_s: float
    criteria: Mapping[str, tuple[Criterion, ...]]
    samples: tuple[Sample, ...]
    rates: Rates = Rates()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        answered = Counter((each.question, each.variant) for each in self.samples)
        twice = next((key for key, count in answered.items() if count > 1), None)
        if twice is not None:
            raise ValueError(
                f"question {twice[0]} has two answers of {twice[1]}: name repeats in the question"
            )

    def of(self, asset: str, variant: str | None = None) -> tuple[Sample, ...]:
        return tuple(each for each in self.samples if each.asset == asset and variant in (None, each.variant))

    def variants(self, asset: str) -> tuple[str, ...]:
        """In the order in which they were first asked."""
        return tuple(dict.fromkeys(each.variant for each in self.of(asset)))
