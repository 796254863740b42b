"""The engine on its threads, with a denoiser that computes nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from deployments import errors
from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.engine import StepEngine
from deployments.engine.fakes import FakeDenoiser, FakeRequest, FakeState
from deployments.engine.jobs import Ask, Finished, Previews
from deployments.engine.work import Batch, Rules, Shape

SHAPE, OTHER = Shape(512, 512), Shape(1024, 1024)
WAIT_S = 10.0

Engine = StepEngine[FakeRequest, FakeState, str]
MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    engines: list[Engine] = []

    def make(
        denoiser: FakeDenoiser,
        max_batch: int = 8,
        rules: Rules | None = None,
        start: bool = True,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> Engine:
        engine = Engine(denoiser, Desk(CostModel(max_batch), rules or Rules()), clock, **options)
        engines.append(engine)
        if start:
            engine.start()
        return engine

    yield make
    for engine in engines:
        engine.close()


def ask(name: str, steps: int = 3, shape: Shape = SHAPE, **options: Any) -> Ask[FakeRequest, str]:
    fake = {key: options.pop(key) for key in ("fails_at", "poisons") if key in options}
    return Ask(FakeRequest(name, shape, steps, **fake), shape, steps, **options)


def result(submitted: "tuple[int, Future[Finished[str]]]") -> Finished[str]:
    return submitted[1].result(WAIT_S)


class Gate:
    """Holds a denoiser's `wait` until it is opened; `reached` tells that it is being held."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self, seconds: float) -> None:
        if seconds:
            self.reached.set()
            assert self._open.wait(WAIT_S)

    def open(self) -> None:
        self._open.set()


def until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0)


def steps_of(name: str, denoiser: FakeDenoiser) -> int:
    return sum(name in batch for batch in denoiser.batches)


def test_a_request_takes_its_steps_and_ends_with_its_image(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser()
    finished = result(make_engine(denoiser).submit(ask("a", steps=5)))
    assert finished.output == "a"
    assert denoiser.batches == [("a",)] * 5
    assert finished.entry.widths == {1: 5}
    assert denoiser.states[0].discarded == 1


def test_requests_join_and_leave_at_step_boundaries(make_engine: MakeEngine) -> None:
    gate = Gate()
    denoiser = FakeDenoiser(step_s=lambda shape, rows: 1.0, wait=gate)
    engine = make_engine(denoiser)
    due_s = time.monotonic() + 1000
    long = engine.submit(ask("long", steps=6, deadline_s=due_s))
    assert gate.reached.wait(WAIT_S)
    short = engine.submit(ask("short", steps=2, deadline_s=due_s + 1))
    until(lambda: (entry := engine._desk.get(short[0])) is not None and entry.prepared_s is not None)
    gate.open()
    result(short)
    result(long)
    assert denoiser.batches[0] == ("long",)
    assert ("long", "short") in denoiser.batches
    assert denoiser.batches[-1] == ("long",)
    assert len(denoiser.batches) == 6


def test_different_shapes_never_share_a_call(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser()
    engine = make_engine(denoiser)
    submitted = [engine.submit(ask(f"{index}", shape=(SHAPE, OTHER)[index % 2])) for index in range(10)]
    for one in submitted:
        result(one)
    assert all(len({int(name) % 2 for name in batch}) == 1 for batch in denoiser.batches)


def test_a_cancelled_request_takes_no_further_step(make_engine: MakeEngine) -> None:
    gate = Gate()
    denoiser = FakeDenoiser(step_s=lambda shape, rows: 1.0, wait=gate)
    engine = make_engine(denoiser)
    number, future = engine.submit(ask("a", steps=50))
    assert gate.reached.wait(WAIT_S)
    engine.cancel(number)
    gate.open()
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
    result(engine.submit(ask("b")))
    assert steps_of("a", denoiser) == 1
    assert denoiser.states[0].discarded == 1


def test_cancelling_while_the_text_is_encoded_ends_it_before_any_step(make_engine: MakeEngine) -> None:
    gate = Gate()
    denoiser = FakeDenoiser(prepare_s=1.0, wait=gate)
    engine = make_engine(denoiser)
    number, future = engine.submit(ask("a"))
    assert gate.reached.wait(WAIT_S)
    engine.cancel(number)
    gate.open()
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
    assert denoiser.batches == []
    assert denoiser.states[0].discarded == 1


def test_a_deadline_that_cannot_be_met_is_refused_with_the_prediction(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser()
    engine = make_engine(denoiser, start=False)
    engine._desk.costs.of(SHAPE).step.observe(1, 1.0)
    _, future = engine.submit(ask("a", steps=10, deadline_s=time.monotonic() + 5))
    with pytest.raises(errors.DeadlineExceeded) as refused:
        future.result(WAIT_S)
    assert refused.value.predicted_ms == pytest.approx(10_000)
    assert denoiser.states == []


def test_running_out_of_memory_recomputes_no_step(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser(fits=3)
    engine = make_engine(denoiser, max_batch=8)
    submitted = [engine.submit(ask(f"{index}", steps=1 + index % 7)) for index in range(500)]
    assert [result(one).output for one in submitted] == [f"{index}" for index in range(500)]
    for index in range(500):
        assert steps_of(f"{index}", denoiser) == 1 + index % 7
    assert max(map(len, denoiser.batches)) == 3
    assert denoiser.memory_freed > 0


def test_a_request_that_does_not_fit_alone_runs_out_of_memory(make_engine: MakeEngine) -> None:
    engine = make_engine(FakeDenoiser(fits=0))
    with pytest.raises(errors.OutOfMemory):
        result(engine.submit(ask("a")))
    engine.check_health()


def test_a_steady_request_that_does_not_fit_padded_runs_narrower(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser(fits=2)
    finished = result(make_engine(denoiser, rules=Rules(steady_width=4)).submit(ask("a", steady=True)))
    assert finished.entry.widths == {2: 3}


def test_a_steady_request_always_runs_at_the_steady_width(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser()
    engine = make_engine(denoiser, rules=Rules(steady_width=4))
    submitted = [engine.submit(ask(f"{index}", steps=1 + index % 5, steady=True)) for index in range(20)]
    assert {width for one in submitted for width in result(one).entry.widths} == {4}


def test_an_image_that_does_not_fit_is_decoded_frugally(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser(decode_needs_frugal=True)
    assert result(make_engine(denoiser).submit(ask("a"))).output == "a"
    assert denoiser.states[0].frugal


def test_one_that_fails_does_not_harm_its_neighbours(make_engine: MakeEngine) -> None:
    engine = make_engine(FakeDenoiser())
    bad = engine.submit(ask("bad", fails_at=1))
    good = [engine.submit(ask(f"{index}")) for index in range(5)]
    with pytest.raises(ValueError, match="bad failed"):
        result(bad)
    assert all(result(one).output for one in good)


def test_the_culprit_of_a_failed_batch_is_found_by_running_alone(make_engine: MakeEngine) -> None:
    denoiser = FakeDenoiser()
    engine = make_engine(denoiser)
    good = [engine.submit(ask(f"{index}", steps=20)) for index in range(3)]
    bad = engine.submit(ask("bad", poisons=True))
    with pytest.raises(ValueError, match="poisoned"):
        result(bad)
    assert [result(one).output for one in good] == ["0", "1", "2"]
    assert all(steps_of(f"{index}", denoiser) == 20 for index in range(3))


def test_previews_come_at_equal_distances_and_before_the_image(make_engine: MakeEngine) -> None:
    shown: list[tuple[int, str]] = []
    previews = Previews(3, lambda index, picture: shown.append((index, picture)))
    result(make_engine(FakeDenoiser()).submit(ask("a", steps=8, previews=previews)))
    assert [index for index, _ in shown] == list(range(len(shown)))
    assert shown[0] == (0, "a after 2")


def test_a_preview_that_cannot_be_shown_does_not_harm_the_image(make_engine: MakeEngine) -> None:
    def refuse(index: int, picture: str) -> None:
        raise RuntimeError("the client has gone")

    assert result(make_engine(FakeDenoiser()).submit(ask("a", previews=Previews(2, refuse)))).output == "a"


def test_load_counts_what_runs_and_what_waits(make_engine: MakeEngine) -> None:
    gate = Gate()
    engine = make_engine(FakeDenoiser(step_s=lambda shape, rows: 1.0, wait=gate), max_batch=1)
    engine._desk.costs.of(SHAPE).step.observe(1, 0.5)
    submitted = [engine.submit(ask("a", steps=2)), engine.submit(ask("b", steps=4))]
    assert gate.reached.wait(WAIT_S)
    load = engine.load()
    assert (load.running, load.queued) == (1, 1)
    assert load.wait_s == pytest.approx(3.0)
    gate.open()
    for one in submitted:
        result(one)
    assert engine.load().queued == 0


def test_when_the_step_loop_dies_requests_fail_and_health_says_so(make_engine: MakeEngine) -> None:
    class Broken(FakeDenoiser):
        def step(self, states: Any, width: int | None) -> list[BaseException | None]:
            raise SystemExit("the device is lost")

    engine = make_engine(Broken())
    with pytest.raises(errors.ModelFailed):
        result(engine.submit(ask("a")))
    with pytest.raises(errors.ModelFailed):
        engine.check_health()
    with pytest.raises(errors.ModelFailed):
        engine.submit(ask("b"))


def test_a_step_that_does_not_end_fails_the_health_check(make_engine: MakeEngine) -> None:
    gate, now_s = Gate(), 0.0
    engine = make_engine(
        FakeDenoiser(step_s=lambda shape, rows: 1.0, wait=gate), clock=lambda: now_s, hung_after_s=30.0
    )
    engine._desk.costs.of(SHAPE).step.observe(1, 2.0)
    submitted = engine.submit(ask("a", steps=1))
    assert gate.reached.wait(WAIT_S)
    now_s = 39.0  # longer than 30 s, but not than 20 times the two seconds it was predicted
    engine.check_health()
    now_s = 41.0
    hung = r"1 requests of 512x512\+guided has taken 41 s and was predicted to take 2 s: the device hangs"
    with pytest.raises(errors.ModelFailed, match=hung):
        engine.check_health()
    gate.open()
    result(submitted)
    engine.check_health()


@pytest.mark.parametrize(
    ("what", "seconds"), [("preparing", {"prepare_s": 1.0}), ("decoding", {"decode_s": 1.0})]
)
def test_work_beside_the_steps_that_does_not_end_fails_the_health_check(
    make_engine: MakeEngine, what: str, seconds: dict[str, float]
) -> None:
    gate, now_s = Gate(), 0.0

    def hold(wanted_s: float) -> None:
        if wanted_s:
            gate(wanted_s)

    engine = make_engine(FakeDenoiser(wait=hold, **seconds), clock=lambda: now_s, hung_after_s=30.0)
    submitted = engine.submit(ask("a", steps=1))
    assert gate.reached.wait(WAIT_S)
    now_s = 29.0
    engine.check_health()
    now_s = 31.0
    hung = rf"{what} a request of 512x512\+guided has taken 31 s and has not ended: the device hangs"
    with pytest.raises(errors.ModelFailed, match=hung):
        engine.check_health()
    gate.open()
    result(submitted)
    engine.check_health()


def test_work_beside_the_steps_may_take_long_if_it_was_predicted_to(make_engine: MakeEngine) -> None:
    gate, now_s = Gate(), 0.0
    engine = make_engine(
        FakeDenoiser(prepare_s=1.0, wait=lambda wanted_s: gate(wanted_s) if wanted_s else None),
        clock=lambda: now_s,
        hung_after_s=30.0,
    )
    engine._desk.costs.of(SHAPE).prepare.observe(2.0)
    submitted = engine.submit(ask("a", steps=1))
    assert gate.reached.wait(WAIT_S)
    now_s = 39.0
    engine.check_health()
    now_s = 41.0
    with pytest.raises(errors.ModelFailed, match="was predicted to take 2 s"):
        engine.check_health()
    gate.open()
    result(submitted)


def test_a_preview_that_does_not_end_fails_the_health_check(make_engine: MakeEngine) -> None:
    gate, now_s = Gate(), 0.0

    class Slow(FakeDenoiser):
        def preview(self, state: Any) -> Callable[[], str]:
            def picture() -> str:
                gate(1.0)
                return "seen"

            return picture

    engine = make_engine(Slow(), clock=lambda: now_s, hung_after_s=30.0)
    submitted = engine.submit(ask("a", steps=4, previews=Previews(1, lambda index, picture: None)))
    assert gate.reached.wait(WAIT_S)
    now_s = 31.0
    with pytest.raises(errors.ModelFailed, match="a preview of a request of"):
        engine.check_health()
    gate.open()
    result(submitted)


def test_an_idle_engine_never_hangs(make_engine: MakeEngine) -> None:
    now_s = 0.0
    engine = make_engine(FakeDenoiser(), clock=lambda: now_s)
    result(engine.submit(ask("a")))
    now_s = 1e6
    engine.check_health()


def test_every_step_is_told_to_the_observer(make_engine: MakeEngine) -> None:
    class Told:
        def __init__(self) -> None:
            self.steps: list[tuple[int, float | None, int]] = []
            self.failures: list[tuple[int, int]] = []

        def stepped(self, batch: Batch, seconds: float, predicted_s: float | None, cap: int) -> None:
            assert seconds >= 0
            self.steps.append((batch.rows, predicted_s, cap))

        def did_not_fit(self, batch: Batch, cap: int) -> None:
            self.failures.append((batch.rows, cap))

    told = Told()
    engine = make_engine(FakeDenoiser(fits=1), max_batch=2, start=False, observer=told)
    submitted = [engine.submit(ask(name)) for name in "ab"]
    until(lambda: all(entry.prepared_s is not None for entry in engine._desk._entries.values()))
    engine.start()
    for one in submitted:
        result(one)
    assert told.failures == [(2, 1)]
    assert [rows for rows, _, _ in told.steps] == [1] * 6
    assert told.steps[0] == (1, None, 1)  # nothing was known of the shape
    assert all(predicted_s is not None for _, predicted_s, _ in told.steps[1:])


def test_closing_ends_what_is_on_the_books(make_engine: MakeEngine) -> None:
    gate = Gate()
    engine = make_engine(FakeDenoiser(step_s=lambda shape, rows: 1.0, wait=gate))
    _, future = engine.submit(ask("a", steps=1000))
    assert gate.reached.wait(WAIT_S)
    gate.open()
    engine.close()
    with pytest.raises((CancelledError, errors.ReplicaLost)):
        future.result(WAIT_S)
    with pytest.raises(errors.ReplicaLost):
        engine.submit(ask("b"))


def test_nothing_is_left_behind_after_a_storm(make_engine: MakeEngine) -> None:
    """Joins, leaves, cancellations and failures from several threads at once."""
    denoiser = FakeDenoiser(fits=5)
    engine = make_engine(denoiser, max_batch=8)

    def client(offset: int) -> None:
        for index in range(40):
            number, future = engine.submit(
                ask(f"{offset}-{index}", steps=1 + index % 5, fails_at=0 if index % 11 == 3 else None)
            )
            if index % 3 == 0:
                engine.cancel(number)
            future.exception(WAIT_S)

    clients = [threading.Thread(target=client, args=(offset,)) for offset in range(6)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(WAIT_S)
    load = engine.load()
    assert (load.running, load.queued) == (0, 0)
    assert engine._register.jobs == {}
    assert all(state.discarded == 1 for state in denoiser.states)
