"""The books alone: told the time, asked what is next."""

import pytest

from deployments.engine.costs import CostModel
from deployments.engine.desk import PROBE_AFTER_S, Desk, Entry
from deployments.engine.work import Batch, Refusal, Rules, Shape

SHAPE, OTHER = Shape(512, 512), Shape(1024, 1024)


def desk(max_batch: int = 4, step_s: float = 1.0) -> Desk:
    """Steps of SHAPE cost `step_s` at any batch size."""
    costs = CostModel(max_batch)
    for batch in (1, 4):
        costs.of(SHAPE).step.observe(batch, step_s)
    return Desk(costs, Rules())


def admitted(books: Desk, steps: int = 3, now_s: float = 0.0, **options: object) -> Entry:
    entry = books.admit(SHAPE, steps, now_s, **options)  # type: ignore[arg-type]
    assert isinstance(entry, Entry)
    books.preparing(entry.number, now_s)
    books.prepared(entry.number, steps, now_s)
    return entry


def step(books: Desk, now_s: float, seconds: float = 1.0) -> list[int]:
    batch = books.next(now_s).batch
    assert batch is not None
    left = {}
    for number in batch.numbers:
        entry = books.get(number)
        assert entry is not None
        left[number] = entry.steps_left - 1
    return books.stepped(batch, left, seconds, now_s + seconds)


def test_an_entry_steps_until_it_is_ready_to_be_decoded() -> None:
    books = desk()
    entry = admitted(books, steps=2)
    assert step(books, 0.0) == []
    assert step(books, 1.0) == [entry.number]
    assert books.next(2.0).batch is None
    assert entry.step_ends_s == [1.0, 2.0]
    assert entry.busy_s == pytest.approx(2.0)


def test_who_shares_a_call_shares_its_time() -> None:
    books = desk()
    entries = [admitted(books) for _ in range(4)]
    step(books, 0.0)
    assert [entry.busy_s for entry in entries] == [pytest.approx(0.25)] * 4


def test_what_cannot_be_in_time_is_not_admitted() -> None:
    refusal = desk().admit(SHAPE, 5, now_s=0.0, deadline_s=4.0)
    assert isinstance(refusal, Refusal)
    assert refusal.predicted_s == pytest.approx(5.0)


def test_a_shape_that_was_never_seen_is_not_refused() -> None:
    assert isinstance(desk().admit(OTHER, 5, now_s=0.0, deadline_s=0.1), Entry)


def test_an_idle_engine_lets_one_try_what_old_predictions_forbid() -> None:
    """Otherwise a slow moment could refuse every deadline for ever: what is refused teaches nothing."""
    books = desk()
    entry = admitted(books, steps=1)
    step(books, 0.0)
    books.leave(entry.number)
    assert isinstance(books.admit(SHAPE, 5, now_s=2.0, deadline_s=6.0), Refusal)
    late_s = 1.0 + PROBE_AFTER_S
    probe = books.admit(SHAPE, 5, now_s=late_s, deadline_s=late_s + 4.0)
    assert isinstance(probe, Entry)
    assert isinstance(books.admit(SHAPE, 5, now_s=late_s, deadline_s=late_s + 4.0), Refusal)


def test_without_memory_everybody_stands_where_they_stood_and_the_cap_is_halved() -> None:
    books = desk()
    entries = [admitted(books) for _ in range(4)]
    batch = books.next(0.0).batch
    assert batch is not None
    assert not books.did_not_fit(batch)
    assert [entry.steps_left for entry in entries] == [3] * 4
    again = books.next(0.0).batch
    assert again is not None
    assert len(again.numbers) == 2


def test_a_batch_of_one_that_does_not_fit_is_the_end() -> None:
    books = desk()
    admitted(books)
    batch = books.next(0.0).batch
    assert batch is not None
    assert books.did_not_fit(batch)


def test_after_another_failure_each_runs_alone_once() -> None:
    books = desk()
    for _ in range(2):
        admitted(books)
    batch = books.next(0.0).batch
    assert batch is not None
    assert not books.failed(batch)
    assert [len(alone.numbers) for alone in [_next(books, now_s) for now_s in (0.0, 1.0)]] == [1, 1]
    together = books.next(2.0).batch
    assert together is not None
    assert len(together.numbers) == 2


def _next(books: Desk, now_s: float) -> Batch:
    batch = books.next(now_s).batch
    assert batch is not None
    books.stepped(batch, dict.fromkeys(batch.numbers, 2), 1.0, now_s + 1)
    return batch


def test_a_newcomer_waits_for_nothing_while_its_batch_has_room() -> None:
    books = desk()
    admitted(books)
    assert books.load().wait_s == 0.0
    assert books.batch_for_newcomer(SHAPE) == 2


def test_a_newcomer_waits_for_a_full_batch() -> None:
    books = desk()
    for _ in range(8):
        admitted(books, steps=3)
    assert books.load().wait_s == pytest.approx(8 * 3 / 4)
    assert books.batch_for_newcomer(SHAPE) == 4


def test_admission_predicts_the_wait_and_the_work() -> None:
    books = desk()
    for _ in range(4):
        admitted(books, steps=2)
    assert admitted(books, steps=5).predicted_s == pytest.approx(4 * 2 / 4 + 5)


def test_longer_ones_are_predicted_to_give_way() -> None:
    """Of the same shape with their places, of another by turns: its steps take four times as long."""
    books = desk()
    for _ in range(8):
        admitted(books, steps=10)
    assert admitted(books, steps=2).predicted_s == pytest.approx(2)
    books = desk()
    books.admit(OTHER, 10, 0.0)
    assert admitted(books, steps=2).predicted_s == pytest.approx(2 * 4 + 2)
    assert admitted(books, steps=80).predicted_s == pytest.approx(10 * 4 + 80)


def test_a_cancelled_entry_is_not_in_the_next_batch() -> None:
    books = desk()
    stays, goes = admitted(books), admitted(books)
    books.cancel(goes.number)
    batch = books.next(0.0).batch
    assert batch is not None
    assert batch.numbers == (stays.number,)


def test_work_is_what_all_steps_take_and_what_a_request_adds_in_full_batches() -> None:
    books = desk(max_batch=2)
    assert books.load().work_s == 0
    for _ in range(3):
        admitted(books, steps=4)
    load = books.load()
    # Twelve steps, two at a time, a second each.
    assert load.work_s == pytest.approx(6.0)
    assert load.request_work_s == pytest.approx(2.0)
