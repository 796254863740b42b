"""A denoiser that only takes time, for tests and benchmarks of the engine: no weights, no tensors."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deployments.engine.work import Shape


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """`fails_at` raises a ValueError for this request alone in that step (from 0); `poisons` raises for
    every batch that holds it."""

    name: str
    shape: Shape
    steps: int
    fails_at: int | None = None
    poisons: bool = False


@dataclass(slots=True)
class FakeState:
    request: FakeRequest
    done: int = 0
    discarded: int = 0
    frugal: bool = False


@dataclass(slots=True)
class FakeDenoiser:
    """Does nothing, for as long as `wait` is told to. Records every step it makes.

    `step_s`, `prepare_s`, `decode_s`: seconds handed to `wait`. Memory holds `fits` requests a call;
    a decode fits only when frugal if `decode_needs_frugal`.
    """

    step_s: Callable[[Shape, int], float] = lambda shape, rows: 0.0
    prepare_s: float = 0.0
    decode_s: float = 0.0
    wait: Callable[[float], None] = lambda seconds: None
    fits: int | None = None
    decode_needs_frugal: bool = False
    batches: list[tuple[str, ...]] = field(default_factory=list)
    widths: list[int | None] = field(default_factory=list)
    states: list[FakeState] = field(default_factory=list)
    memory_freed: int = 0
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self, request: FakeRequest) -> FakeState:
        self.wait(self.prepare_s)
        state = FakeState(request)
        self.states.append(state)
        return state

    def steps_left(self, state: FakeState) -> int:
        return state.request.steps - state.done

    def step(self, states: Sequence[FakeState], width: int | None) -> list[BaseException | None]:
        assert self._busy.acquire(blocking=False), "two steps at once"
        try:
            rows = width or len(states)
            if self.fits is not None and rows > self.fits:
                raise MemoryError(f"{rows} requests do not fit")
            if any(state.request.poisons for state in states):
                raise ValueError("poisoned batch")
            self.wait(self.step_s(states[0].request.shape, rows))
            self.batches.append(tuple(state.request.name for state in states))
            self.widths.append(width)
            return [self._advance(state) for state in states]
        finally:
            self._busy.release()

    def preview(self, state: FakeState) -> Callable[[], str] | None:
        seen = f"{state.request.name} after {state.done}"
        return lambda: seen

    def decode(self, state: FakeState, frugal: bool) -> str:
        if self.decode_needs_frugal and not frugal:
            raise MemoryError("the whole image does not fit")
        self.wait(self.decode_s)
        state.frugal = frugal
        return state.request.name

    def discard(self, state: FakeState) -> None:
        state.discarded += 1

    def free_memory(self) -> None:
        self.memory_freed += 1

    @staticmethod
    def _advance(state: FakeState) -> BaseException | None:
        if state.request.fails_at == state.done:
            return ValueError(f"{state.request.name} failed")
        state.done += 1
        return None
