"""LatencyModel: what is known of each model's speed and queue, as a Snapshot that decisions are made from.

Three sources: what finished stages took (`observe`), what replicas say of themselves (`report`), and what
this router has sent since (`sent`). A report is a second old when the next one comes; at overload that second
is what admits too much, so every call sent is added to the predicted queue at once. Silence ends well:
predicted queues drain with time, and a report that is not renewed is forgotten.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from routing.ahead import LATELY_S, Lateness, PlacesAhead
from routing.breaker import Breaker
from routing.prediction import spread_ms
from routing.regression import ForgetfulFit
from routing.types import ModelFacts, ModelState, Snapshot

REPORT_LIFETIME_S = 5.0
_ERRORS_KEPT = 256
_PENDING_KEPT = 4096


class LoadReport(Protocol):
    """What a replica says of itself: a ModelState says it, and so does whatever else has these numbers."""

    @property
    def wait_ms(self) -> float: ...
    @property
    def overhead_ms(self) -> float: ...
    @property
    def step_ms(self) -> float: ...
    @property
    def step_ms_per_megapixel(self) -> float: ...
    @property
    def observed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class PredictionError:
    """Relative errors |predicted - actual| / actual of the last stages' run times, each predicted before it
    was seen, and the 95th percentile of the times these stages waited."""

    count: int
    mean_ratio: float
    p95_ratio: float
    wait_p95_ms: float


@dataclass(slots=True)
class _Known:
    """Everything learned of one model."""

    facts: ModelFacts
    fit: ForgetfulFit
    queue: PlacesAhead = field(default_factory=PlacesAhead)
    reports: dict[str, tuple[float, LoadReport]] = field(default_factory=dict)
    observed: int = 0
    observed_at_s: float = 0.0
    errors: deque[float] = field(default_factory=lambda: deque(maxlen=_ERRORS_KEPT))
    waits_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_ERRORS_KEPT))
    # What was predicted of calls that have not ended. Which of them ends does not matter: only sums do.
    pending_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_PENDING_KEPT))
    available: bool = True
    learned: tuple[float, float, float] | None = None
    run_error_square: float = 0.0
    lateness: Lateness = field(default_factory=Lateness)
    transport_ms: float = 0.0

    def error_ratio(self, now_s: float) -> float:
        """Of the last few dozen predictions, the newest counting most; 0 when they are long ago."""
        return math.sqrt(self.run_error_square) if now_s - self.observed_at_s < LATELY_S else 0.0

    def coefficients(self) -> tuple[float, float, float]:
        """Overhead, step and step-per-megapixel times as this router saw them; priors before it saw any."""
        if self.observed == 0:
            return self.fit.prior
        if self.learned is None:
            self.learned = self.fit.solve()
        return self.learned


class _LazyStates(Mapping[str, ModelState]):
    """States by model, each worked out once."""

    def __init__(self, names: Collection[str], state_of: Callable[[str], ModelState]) -> None:
        self._names = names
        self._state_of = state_of
        self._states: dict[str, ModelState] = {}

    def __getitem__(self, name: str) -> ModelState:
        if name not in self._states:
            if name not in self._names:
                raise KeyError(name)
            self._states[name] = self._state_of(name)
        return self._states[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class LatencyModel:
    """One per router. Not safe for concurrent writers: call it from one event loop."""

    def __init__(
        self, models: Mapping[str, ModelFacts], parallelism: Mapping[str, int] | None = None
    ) -> None:
        """`parallelism`: how many images a model works on at once, over all replicas; 1 when not given."""
        self._known = {name: _known(facts) for name, facts in models.items()}
        self._answering_ms = 0.0
        for name, places in (parallelism or {}).items():
            self.set_parallelism(name, places, 0.0)

    def observe(
        self,
        model: str,
        steps: int | None,
        width: int,
        height: int,
        run_ms: float,
        queue_ms: float,
        now_s: float,
    ) -> None:
        """A stage of one image finished: `run_ms` of work after `queue_ms` of waiting. A model without a step
        loop has no steps."""
        known = self._known[model]
        steps = steps or 1
        actual = max(run_ms, 1e-3)
        overhead, step, per_megapixel = known.coefficients()
        predicted = overhead + steps * (step + per_megapixel * width * height / 1e6)
        if known.observed > 0:
            known.errors.append(abs(predicted - actual) / actual)
            square = min(1.0, (predicted - actual) / actual) ** 2
            known.run_error_square += (square - known.run_error_square) / 32
        if known.pending_ms:
            known.queue.correct((actual - known.pending_ms.popleft()) / 1000, now_s)
        known.fit.add((1.0, float(steps), steps * width * height / 1e6), actual, predicted or actual)
        known.waits_ms.append(queue_ms)
        known.observed += 1
        known.observed_at_s = now_s
        known.learned = None

    def observe_transport(self, model: str, transport_ms: float) -> None:
        """So much of a call was neither waiting at the replica nor work."""
        known = self._known[model]
        known.transport_ms = _usual_most(known.transport_ms, transport_ms)

    def observe_answering(self, answering_ms: float) -> None:
        """So much of a request's time, from arrival to answer, was spent outside of its stages."""
        self._answering_ms = _usual_most(self._answering_ms, answering_ms)

    def observe_total(
        self, model: str, predicted_wait_ms: float, predicted_run_ms: float, taken_ms: float, now_s: float
    ) -> None:
        """A call that was predicted to wait and to run for so long took `taken_ms` in all, or more, from the
        decision to its end."""
        known = self._known[model]
        late_ms = taken_ms - predicted_wait_ms - predicted_run_ms - known.transport_ms
        ratio = late_ms / spread_ms(predicted_wait_ms, max(predicted_run_ms, 1.0))
        known.lateness.add(min(1.0, max(0.0, ratio)), now_s)

    def report(self, model: str, load: LoadReport, now_s: float, replica: str = "") -> None:
        """What a replica says of itself. The queue is the mean over the replicas heard of lately."""
        known = self._known[model]
        known.reports[replica] = (now_s, load)
        self._forget_reports(known, now_s)
        waits = [each.wait_ms for _, each in known.reports.values()]
        known.queue.set_wait(sum(waits) / len(waits), now_s)

    def sent(self, model: str, predicted_run_ms: float, now_s: float) -> float:
        """A call was sent that is predicted to work for this long. It ends with `observe` or `failed`.
        Returns when it is predicted to end."""
        known = self._known[model]
        known.pending_ms.append(predicted_run_ms)
        return known.queue.add(predicted_run_ms / 1000, now_s)

    def failed(self, model: str, predicted_end_s: float, now_s: float) -> None:
        """A call that was sent ended without an image: what it took says nothing of what images take, and
        the work that was still expected of it is not waited for any more."""
        known = self._known[model]
        if known.pending_ms:
            run_s = known.pending_ms.popleft() / 1000
            known.queue.remove(min(run_s, max(0.0, predicted_end_s - now_s)), now_s)

    def set_available(self, model: str, available: bool) -> None:
        self._known[model].available = available

    def set_parallelism(self, model: str, parallelism: int, now_s: float) -> None:
        self._known[model].queue.resize(max(1, parallelism), now_s)

    def error(self, model: str) -> PredictionError:
        known = self._known[model]
        count = len(known.errors)
        mean_ratio = sum(known.errors) / count if count else 0.0
        return PredictionError(count, mean_ratio, _p95(known.errors), _p95(known.waits_ms))

    def snapshot(
        self,
        now_s: float,
        breakers: Mapping[str, Breaker] | None = None,
        costs_ahead_ms: Callable[[str], Sequence[float]] | None = None,
    ) -> Snapshot:
        """What decisions made now should know. `breakers` are by model; those that are missing are closed.
        `costs_ahead_ms` says of a model what work goes before the request at hand and was not sent yet.

        A model's state is worked out when it is first looked at: a decision looks at few. So use a snapshot
        before the next observation, or a model first looked at later is seen as it is then.
        """
        breakers = breakers or {}
        return Snapshot(
            _LazyStates(
                self._known,
                lambda name: self._state(
                    self._known[name],
                    now_s,
                    breakers.get(name),
                    () if costs_ahead_ms is None else costs_ahead_ms(name),
                ),
            )
        )

    def _state(
        self, known: _Known, now_s: float, breaker: Breaker | None, costs_ahead_ms: Sequence[float]
    ) -> ModelState:
        self._forget_reports(known, now_s)
        overhead, step, per_megapixel, observed, observed_at_s = self._coefficients(known)
        return ModelState(
            available=known.available,
            wait_ms=known.queue.wait_ms(now_s, costs_ahead_ms),
            overhead_ms=overhead,
            step_ms=step,
            step_ms_per_megapixel=per_megapixel,
            observed=observed,
            observed_at_s=observed_at_s,
            breaker_open=breaker is not None and not breaker.allows(now_s),
            parallelism=float(len(known.queue.free_at_s)),
            error_ratio=known.error_ratio(now_s),
            late_ratio=known.lateness.worst(now_s),
            transport_ms=known.transport_ms + self._answering_ms,
            retry_after_s=None if breaker is None else breaker.retry_after_s(now_s),
        )

    def _coefficients(self, known: _Known) -> tuple[float, float, float, int, float]:
        """Reported ones where a replica has measured itself (it sees its work alone), else our own fit."""
        reports = [(at_s, each) for at_s, each in known.reports.values() if each.observed > 0]
        if reports:
            weight = sum(each.observed for _, each in reports)

            def mean(name: str) -> float:
                return float(sum(getattr(each, name) * each.observed for _, each in reports) / weight)

            newest = max(at_s for at_s, _ in reports)
            return mean("overhead_ms"), mean("step_ms"), mean("step_ms_per_megapixel"), weight, newest
        return (*known.coefficients(), known.observed, known.observed_at_s)

    def _forget_reports(self, known: _Known, now_s: float) -> None:
        for replica, (at_s, _) in list(known.reports.items()):
            if now_s - at_s > REPORT_LIFETIME_S:
                del known.reports[replica]


def _known(facts: ModelFacts) -> _Known:
    prior = (facts.prior_overhead_ms, facts.prior_step_ms, facts.prior_step_ms_per_megapixel)
    return _Known(facts, ForgetfulFit(prior))


def _usual_most(known: float, seen: float) -> float:
    """A value that about 15 in 16 of those seen stay below: quick to rise, slow to fall."""
    return known + (max(0.0, seen) - known) * (1 / 8 if seen > known else 1 / 128)


def _p95(values: Collection[float]) -> float:
    """0 of nothing."""
    return sorted(values)[int(0.95 * (len(values) - 1))] if values else 0.0
