from serve.attainment import SLOT_S, WINDOW_S, Attainment
from serve.metrics import NoObserver
from tests.serve.gateways import gateway, http


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_requests_with_a_budget_are_counted_and_shown() -> None:
    async with http(gateway()) as client:
        for prompt in ("a ui-badge", "a ui-badge", "a poster"):
            assert (await client.post("/v1/images/generations", json={"prompt": prompt})).status_code == 200
        fleet = (await client.get("/v1/fleet")).json()
    assert fleet["budgets"]["window_s"] == WINDOW_S
    assert sorted(each["requests"] for each in fleet["budgets"]["routes"].values()) == [1, 2]
    assert {each["met_ratio"] for each in fleet["budgets"]["routes"].values()} == {1.0}
    assert fleet["routers"] == 1


def test_what_is_old_is_forgotten() -> None:
    clock = Clock()
    book = Attainment(NoObserver(), clock)
    book.refused("a", "refused_capacity", 1.0, budget_ms=10.0)
    clock.now_s += SLOT_S
    book.refused("b", "deadline_exceeded", 1.0, budget_ms=10.0)
    assert book.describe() == {
        "a": {"requests": 1, "met_ratio": 0.0},
        "b": {"requests": 1, "met_ratio": 0.0},
    }
    clock.now_s += WINDOW_S - SLOT_S + 1
    assert list(book.describe()) == ["b"]
    clock.now_s += SLOT_S
    assert book.describe() == {}


def test_slots_stay_few_however_many_requests_there_are() -> None:
    clock = Clock()
    book = Attainment(NoObserver(), clock)
    for _ in range(5000):
        clock.now_s += 0.5
        book.refused("a", "refused_capacity", 1.0, budget_ms=10.0)
    assert len(book._slots) <= WINDOW_S / SLOT_S + 1


def test_what_is_not_ours_does_not_count() -> None:
    book = Attainment(NoObserver())
    book.refused("a", "cancelled", 1.0, budget_ms=10.0)
    book.refused("a", "refused_capacity", 1.0)
    assert book.describe() == {}
