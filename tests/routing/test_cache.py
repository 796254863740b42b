import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.cache import BoundedCache, SingleFlight, cache_key
from routing.types import Capability, Plan, PlannedStage

PLAN = Plan((PlannedStage("m", Capability.GENERATE, 512, 512, 8, 100.0),))
INPUTS = {"prompt": "a cat", "seed": 7, "image": b"\x00\x01"}


def key(plan: Plan = PLAN, revision: str = "r1", scope: str = "acme", **inputs: object) -> str:
    return cache_key(plan, {"m": revision}, {**INPUTS, **inputs}, scope)


class TestKey:
    def test_predicted_times_and_the_order_of_inputs_do_not_matter(self):
        slower = Plan((PlannedStage("m", Capability.GENERATE, 512, 512, 8, 900.0, wait_ms=800.0),), rung=1)
        assert key(slower) == key()
        assert cache_key(PLAN, {"m": "r1"}, dict(reversed(INPUTS.items())), "acme") == key()

    @pytest.mark.parametrize(
        "other",
        [
            {"prompt": "a dog"},
            {"seed": 8},
            {"image": b"\x00\x02"},
            {"revision": "r2"},
            {"scope": "initech"},
            {"plan": Plan((PlannedStage("m", Capability.GENERATE, 512, 512, 9, 100.0),))},
            {"plan": Plan((PlannedStage("m", Capability.GENERATE, 512, 256, 8, 100.0),))},
        ],
    )
    def test_whatever_changes_the_image_or_who_may_see_it_changes_the_key(self, other):
        assert key(**other) != key()

    def test_what_cannot_be_hashed_faithfully_is_an_error(self):
        with pytest.raises(TypeError, match="object"):
            key(prompt=object())
        with pytest.raises(KeyError):
            cache_key(PLAN, {}, INPUTS, "acme")


class TestBoundedCache:
    def test_the_least_recently_used_goes_first(self):
        cache: BoundedCache[str] = BoundedCache(max_bytes=30)
        for name in "abc":
            cache.put(name, name.upper(), 10, 0.0)
        assert cache.get("a", 0.0) == "A"
        cache.put("d", "D", 10, 0.0)
        assert [cache.get(name, 0.0) for name in "abcd"] == ["A", None, "C", "D"]
        assert cache.stats().evictions == 1

    def test_an_entry_expires(self):
        cache: BoundedCache[str] = BoundedCache(max_bytes=30, ttl_s=10)
        cache.put("a", "A", 1, 0.0)
        assert cache.get("a", 9.9) == "A"
        assert cache.get("a", 10.0) is None
        assert cache.stats().size_bytes == 0

    def test_what_is_too_large_is_not_kept_and_drops_nothing_else(self):
        cache: BoundedCache[str] = BoundedCache(max_bytes=30)
        cache.put("a", "A", 10, 0.0)
        assert not cache.put("b", "B", 31, 0.0)
        assert cache.get("a", 0.0) == "A"

    @given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 40)), max_size=60))
    def test_it_never_holds_more_than_its_bounds(self, puts):
        cache: BoundedCache[int] = BoundedCache(max_bytes=64, max_entries=4)
        sizes: dict[str, int] = {}
        for name, size in puts:
            cache.put(name, size, size, 0.0)
            sizes[name] = size
            stats = cache.stats()
            assert stats.size_bytes <= 64
            assert stats.entries <= 4
        kept = {name for name in sizes if cache.get(name, 0.0) is not None}
        assert cache.stats().size_bytes == sum(sizes[name] for name in kept)


class Work:
    """Counts its runs and ends when told."""

    def __init__(self) -> None:
        self.runs, self.cancelled, self.go = 0, 0, asyncio.Event()

    async def __call__(self) -> str:
        self.runs += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "image"


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


class TestSingleFlight:
    async def test_identical_requests_share_one_run(self):
        flights, work = SingleFlight[str](), Work()
        callers = [asyncio.ensure_future(flights.run("k", work)) for _ in range(5)]
        await settle()
        work.go.set()
        answers = await asyncio.gather(*callers)
        assert work.runs == 1
        assert [answer.shared for answer in answers] == [False, True, True, True, True]
        assert {answer.value for answer in answers} == {"image"}
        await settle()
        assert len(flights) == 0

    async def test_different_requests_do_not(self):
        flights, work = SingleFlight[str](), Work()
        work.go.set()
        await asyncio.gather(flights.run("a", work), flights.run("b", work))
        assert work.runs == 2

    async def test_the_run_goes_on_when_the_caller_that_began_it_leaves(self):
        flights, work = SingleFlight[str](), Work()
        first, second = (asyncio.ensure_future(flights.run("k", work)) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        work.go.set()
        assert (await second).value == "image"
        assert (work.runs, work.cancelled) == (1, 0)

    async def test_the_run_ends_when_all_callers_have_left(self):
        flights, work = SingleFlight[str](), Work()
        callers = [asyncio.ensure_future(flights.run("k", work)) for _ in range(2)]
        await settle()
        for caller in callers:
            caller.cancel()
        await settle()
        assert work.cancelled == 1
        assert len(flights) == 0

    async def test_an_error_reaches_every_caller_and_the_next_tries_again(self):
        flights, calls = SingleFlight[str](), []

        async def fail() -> str:
            calls.append(1)
            await asyncio.sleep(0)
            raise RuntimeError("no")

        answers = await asyncio.gather(*(flights.run("k", fail) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RuntimeError] * 3
        assert len(calls) == 1
        with pytest.raises(RuntimeError):
            await flights.run("k", fail)
        assert len(calls) == 2

    async def test_a_caller_waits_no_longer_than_its_own_deadline(self):
        flights, work = SingleFlight[str](clock=lambda: 100.0), Work()
        patient = asyncio.ensure_future(flights.run("k", work))
        await settle()
        with pytest.raises(TimeoutError):
            await flights.run("k", work, deadline_s=100.0)
        work.go.set()
        assert (await patient).value == "image"

    async def test_a_caller_with_more_time_tries_again_after_a_run_with_less_failed(self):
        flights, work = SingleFlight[str](clock=lambda: 0.0), Work()

        async def too_slow() -> str:
            await work.go.wait()
            raise RuntimeError("out of time")

        hurried = asyncio.ensure_future(flights.run("k", too_slow, deadline_s=50.0))
        await settle()
        patient = asyncio.ensure_future(flights.run("k", work, deadline_s=90.0))
        await settle()
        assert work.runs == 0, "it shares what is under way"
        work.go.set()
        answer = await patient
        assert (answer.value, answer.shared, work.runs) == ("image", False, 1)
        with pytest.raises(RuntimeError):
            await hurried
        assert len(flights) == 0
