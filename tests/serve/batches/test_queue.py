from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.batches.queue import MAX_CLAIMS, BatchQueue, Chore
from serve.batches.records import BatchStatus, Claim, FinishedLine, LineReason, Problem, Results
from serve.batches.store import BatchStore
from tests.serve.batches.stores import NOW_S, a_batch, a_file, begun, open_stores


@pytest.fixture
def stores(tmp_path: Path) -> tuple[BatchStore, BatchQueue]:
    return open_stores(tmp_path)


def claimed(queue: BatchQueue, now_s: float = NOW_S, lease_s: float = 60) -> Claim:
    claim = queue.claim(now_s, lease_s)
    assert claim is not None
    return claim


def test_two_replicas_share_the_lines_of_one_file(tmp_path: Path) -> None:
    store, here = open_stores(tmp_path)
    there = open_stores(tmp_path)[1]
    begun(store, here, "b", 4)
    assert there.lines_left() == 4
    claims = [claimed(queue) for queue in (here, there, here, there)]
    assert [claim.index for claim in claims] == [0, 1, 2, 3]
    assert here.claim(NOW_S, 60) is None
    assert claims[0].request_id == "batch_req_b_0"


def test_a_line_of_a_lost_replica_is_claimed_again_and_its_late_answer_does_not_count(
    stores: tuple[BatchStore, BatchQueue],
) -> None:
    store, queue = stores
    begun(store, queue, "b", 1)
    lost = claimed(queue)
    assert queue.claim(NOW_S + 60, 60) is None
    again = claimed(queue, NOW_S + 61)
    assert again.index == lost.index
    assert queue.finish(lost, True, "late") is False
    assert queue.lines_left() == 1
    assert queue.finish(again, True, "kept") is True
    assert queue.lines_left() == 0
    assert queue.finish(again, True, "twice") is False
    assert list(queue.finished_lines("b")) == [FinishedLine(0, "b-0", True, "kept", None)]
    batch = store.batch("b", None)
    assert batch is not None
    assert (batch.completed, batch.failed) == (1, 0)


def test_an_extended_lease_keeps_the_line(stores: tuple[BatchStore, BatchQueue]) -> None:
    store, queue = stores
    begun(store, queue, "b", 1)
    claim = claimed(queue)
    queue.renew([claim.token], NOW_S + 50, 60)
    assert queue.claim(NOW_S + 100, 60) is None


def test_a_line_that_workers_die_of_is_given_up(stores: tuple[BatchStore, BatchQueue]) -> None:
    store, queue = stores
    begun(store, queue, "b", 1)
    for round_ in range(MAX_CLAIMS):
        assert claimed(queue, NOW_S + 61 * round_).claims == round_ + 1
    assert queue.claim(NOW_S + 61 * MAX_CLAIMS, 60) is None
    assert list(queue.finished_lines("b")) == [FinishedLine(0, "b-0", False, None, LineReason.WORKER_LOST)]


@pytest.mark.parametrize("counts", [True, False])
def test_a_released_line_waits_and_only_tries_count(
    stores: tuple[BatchStore, BatchQueue], counts: bool
) -> None:
    store, queue = stores
    begun(store, queue, "b", 2)
    queue.release(claimed(queue), NOW_S + 5, counts)
    other = queue.claim(NOW_S, 60)
    assert (other is not None) is counts  # what is not the line's own fault stops the whole batch
    again = claimed(queue, NOW_S + 5)
    assert (again.index, again.claims) == (0, 2 if counts else 1)


def test_turns_go_round_between_tenants_then_between_their_batches(
    stores: tuple[BatchStore, BatchQueue],
) -> None:
    store, queue = stores
    begun(store, queue, "large", 9, tenant="a")
    begun(store, queue, "second", 9, tenant="a")
    begun(store, queue, "small", 2, tenant="b")
    order = []
    for _ in range(6):
        claim = claimed(queue)
        order.append(claim.batch_id)
        assert queue.finish(claim, True, "x")
    assert order == ["large", "small", "second", "small", "large", "second"]


def test_a_tenant_with_less_running_goes_first(stores: tuple[BatchStore, BatchQueue]) -> None:
    store, queue = stores
    begun(store, queue, "x", 9, tenant="a")
    claimed(queue), claimed(queue)
    begun(store, queue, "y", 9, tenant="b")
    assert [claimed(queue).batch_id for _ in range(3)] == ["y", "y", "x"]


def test_a_cancelled_batch_ends_with_what_was_being_rendered(
    stores: tuple[BatchStore, BatchQueue],
) -> None:
    store, queue = stores
    begun(store, queue, "b", 3)
    running = claimed(queue)
    store.cancel("b", None, int(NOW_S))
    assert queue.claim(NOW_S, 60) is None
    assert queue.claim_chore(NOW_S, 60) is None  # one still runs
    assert queue.finish(running, True, "part")
    chore = queue.claim_chore(NOW_S, 60)
    assert chore is not None
    assert chore.chore is Chore.FINALIZE
    assert [line.reason for line in queue.finished_lines("b")] == [
        None,
        LineReason.CANCELLED,
        LineReason.CANCELLED,
    ]
    assert queue.complete(chore, Results(a_file("out"), a_file("err")), NOW_S)
    batch = store.batch("b", None)
    assert batch is not None
    assert (batch.status, batch.total, batch.completed, batch.failed) == (BatchStatus.CANCELLED, 3, 1, 2)
    assert (batch.output_file_id, batch.error_file_id) == ("out", "err")
    assert store.file("out", None) is not None
    assert list(queue.finished_lines("b")) == []
    assert store.forget_batches(NOW_S + 1) == 1


def test_a_batch_that_is_cancelled_while_it_is_read_holds_no_lines(
    stores: tuple[BatchStore, BatchQueue],
) -> None:
    store, queue = stores
    store.add_batch(a_batch("b"), 9)
    reading = queue.claim_chore(NOW_S, 60)
    assert reading is not None
    store.cancel("b", None, int(NOW_S))
    queue.begin(reading, [], NOW_S)
    chore = queue.claim_chore(NOW_S, 60)
    assert chore is not None
    assert queue.complete(chore, Results(), NOW_S)
    batch = store.batch("b", None)
    assert batch is not None
    assert (batch.status, batch.total) == (BatchStatus.CANCELLED, 0)


@pytest.mark.parametrize(("finished", "status"), [(1, BatchStatus.EXPIRED), (2, BatchStatus.COMPLETED)])
def test_when_the_window_is_over_what_waits_fails(
    stores: tuple[BatchStore, BatchQueue], finished: int, status: BatchStatus
) -> None:
    store, queue = stores
    begun(store, queue, "b", 2)
    for _ in range(finished):
        assert queue.finish(claimed(queue), True, "part")
    late_s = NOW_S + 1001
    assert queue.claim(late_s, 60) is None
    chore = queue.claim_chore(late_s, 60)
    assert chore is not None
    assert queue.complete(chore, Results(a_file("out")), late_s)
    batch = store.batch("b", None)
    assert batch is not None
    assert (batch.status, batch.completed, batch.failed) == (status, finished, 2 - finished)


def test_a_chore_is_one_replicas_until_its_lease_ends(stores: tuple[BatchStore, BatchQueue]) -> None:
    store, queue = stores
    store.add_batch(a_batch("b"), 9)
    lost = queue.claim_chore(NOW_S, 60)
    assert lost is not None
    assert queue.claim_chore(NOW_S + 60, 60) is None
    again = queue.claim_chore(NOW_S + 61, 60)
    assert again is not None
    queue.refuse(lost, [Problem("late", "late")], NOW_S)
    batch = store.batch("b", None)
    assert batch is not None
    assert batch.status is BatchStatus.VALIDATING
    assert not queue.complete(lost, Results(), NOW_S)
    queue.leave(again)
    assert queue.claim_chore(NOW_S + 61, 60) is not None


def test_a_refused_file_fails_the_batch_with_its_problems(stores: tuple[BatchStore, BatchQueue]) -> None:
    store, queue = stores
    store.add_batch(a_batch("b"), 9)
    chore = queue.claim_chore(NOW_S, 60)
    assert chore is not None
    problem = Problem("invalid_json_line", "the line is not JSON", 7, None)
    queue.refuse(chore, [problem], NOW_S)
    batch = store.batch("b", None)
    assert batch is not None
    assert (batch.status, batch.problems, batch.failed_at) == (BatchStatus.FAILED, (problem,), int(NOW_S))
    assert queue.claim_chore(NOW_S, 60) is None


class _Steps:
    """Two replicas doing anything in any order, their leases ending at any moment."""

    def __init__(self, folder: Path, lines: int) -> None:
        store, here = open_stores(folder)
        self.queues = [here, open_stores(folder)[1]]
        self.store = store
        self.now_s = NOW_S
        self.held: list[list[Claim]] = [[], []]
        self.kept: list[int] = []
        begun(store, here, "b", lines)

    def step(self, replica: int, what: str) -> None:
        queue, held = self.queues[replica], self.held[replica]
        match what:
            case "claim":
                claim = queue.claim(self.now_s, 10)
                held += [claim] if claim else []
            case "finish" if held:
                claim = held.pop(0)
                if queue.finish(claim, True, claim.token):
                    self.kept.append(claim.index)
            case "release" if held:
                queue.release(held.pop(0), self.now_s, counts=False)
            case "die":
                held.clear()
            case "wait":
                self.now_s += 7


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["claim", "finish", "release", "die", "wait"])),
        max_size=40,
    )
)
def test_whatever_replicas_do_every_line_ends_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    run = _Steps(tmp_path_factory.mktemp("queue"), lines=4)
    for replica, what in steps:
        run.step(replica, what)
    for _ in range(40):  # and then one of them works on to the end
        run.step(0, "wait")
        run.step(0, "claim")
        run.step(0, "finish")
    lines = list(run.queues[0].finished_lines("b"))
    assert all(line.ok or line.reason is LineReason.WORKER_LOST for line in lines)
    assert sorted(run.kept) == [line.index for line in lines if line.ok]
    batch = run.store.batch("b", None)
    assert batch is not None
    assert (batch.completed, batch.completed + batch.failed) == (len(run.kept), 4)
