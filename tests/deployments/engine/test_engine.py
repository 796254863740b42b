"""The engine on its threads, with a denoiser that computes nothing."""

import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import pytest

from deployments import errors
from deployments.engine.fakes import FakeDenoiser
from deployments.engine.jobs import Previews
from deployments.engine.work import Batch, Rules
from tests.deployments.engine.engines import (
    OTHER,
    SHAPE,
    WAIT_S,
    Gate,
    MakeEngine,
    ask,
    result,
    until,
)


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
    early = engine.submit(ask("early", steps=4))
    assert gate.reached.wait(WAIT_S)
    late = engine.submit(ask("late", steps=4))
    until(lambda: (entry := engine._desk.get(late[0])) is not None and entry.prepared_s is not None)
    gate.open()
    result(late)
    result(early)
    assert denoiser.batches == [("early",), *[("early", "late")] * 3, ("late",)]


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
