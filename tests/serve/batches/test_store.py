from pathlib import Path

import pytest

from serve.batches.records import BatchStatus
from serve.batches.store import BatchStore, FileInUse, NoRoom, TooManyOpen
from tests.serve.batches.stores import NOW_S, a_batch, a_file, open_stores


@pytest.fixture
def store(tmp_path: Path) -> BatchStore:
    return open_stores(tmp_path)[0]


def test_files_are_listed_page_by_page_in_both_orders(store: BatchStore) -> None:
    for index in range(5):
        store.add_file(a_file(f"f{index}", purpose="batch_output" if index == 2 else "batch"))
    newest = store.files(None, None, None, 2, "desc")
    assert [file.id for file in newest] == ["f4", "f3"]
    assert [file.id for file in store.files(None, None, "f3", 9, "desc")] == ["f2", "f1", "f0"]
    assert [file.id for file in store.files(None, None, "f3", 9, "asc")] == ["f4"]
    assert [file.id for file in store.files(None, "batch_output", None, 9, "asc")] == ["f2"]
    assert store.files(None, None, "unknown", 9, "desc") == []


def test_a_tenant_finds_nothing_of_anothers(store: BatchStore) -> None:
    store.add_file(a_file("f", tenant="a"))
    store.add_batch(a_batch("b", tenant="a"), 9)
    for other in ("b", None):
        assert store.file("f", other) is None
        assert store.batch("b", other) is None
        assert store.cancel("b", other, 0) is None
        assert not store.delete_file("f", other)
        assert store.files(other, None, None, 9, "desc") == []
        assert store.batches(other, None, 9) == []
    assert store.file("f", "a") == a_file("f", tenant="a")
    assert store.batch("b", "a") == a_batch("b", tenant="a")


def test_a_place_in_anothers_list_is_no_place(store: BatchStore) -> None:
    store.add_file(a_file("f0", tenant="a"))
    store.add_file(a_file("f1", tenant="b"))
    assert store.files("a", None, "f1", 9, "desc") == []


def test_room_is_counted_by_tenant(store: BatchStore) -> None:
    store.add_file(a_file("f0", tenant="a", size_bytes=60), 100)
    with pytest.raises(NoRoom):
        store.add_file(a_file("f1", tenant="a", size_bytes=41), 100)
    store.add_file(a_file("f1", tenant="a", size_bytes=40), 100)
    store.add_file(a_file("f2", tenant="b", size_bytes=100), 100)


def test_open_batches_are_counted_by_tenant(store: BatchStore) -> None:
    store.add_batch(a_batch("b0", tenant="a"), 1)
    with pytest.raises(TooManyOpen):
        store.add_batch(a_batch("b1", tenant="a"), 1)
    store.add_batch(a_batch("b2", tenant="b"), 1)


def test_a_file_that_is_still_to_be_read_stays(store: BatchStore) -> None:
    store.add_file(a_file("file-1"))
    store.add_batch(a_batch("b"), 9)
    with pytest.raises(FileInUse):
        store.delete_file("file-1", None)
    assert store.forget_files(NOW_S + 5000) == []
    store.cancel("b", None, 0)
    assert store.forget_files(NOW_S + 999) == []
    assert store.forget_files(NOW_S + 1000) == ["file-1"]


def test_only_finished_batches_are_forgotten(store: BatchStore) -> None:
    store.add_batch(a_batch("b"), 9)
    assert store.forget_batches(NOW_S + 1) == 0
    assert store.open_batches() == {"b"}


def test_metadata_and_a_second_cancel(store: BatchStore) -> None:
    store.add_batch(a_batch("b", metadata={"brand": "acme"}), 9)
    first = store.cancel("b", None, 5)
    assert first is not None
    assert (first.metadata, first.status, first.cancelling_at) == (
        {"brand": "acme"},
        BatchStatus.CANCELLING,
        5,
    )
    assert store.cancel("b", None, 9) == first
