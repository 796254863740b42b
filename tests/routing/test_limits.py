import pytest

from routing.limits import LimitLedger, LimitReached, Usage
from routing.types import Limit


def test_concurrency_counts_what_runs():
    ledger, limits = LimitLedger(), (Limit("r", concurrency=2),)
    assert ledger.admit(limits, 0.0) is None
    assert ledger.admit(limits, 0.0) is None
    assert ledger.admit(limits, 0.0) == LimitReached("r", "limit of 2 requests at once", None)
    ledger.finished(limits, 1.0)
    assert ledger.admit(limits, 1.0) is None


def test_rate_is_over_any_minute_and_says_when_there_is_room():
    ledger, limits = LimitLedger(), (Limit("r", requests_per_minute=2),)
    for at in (0.0, 30.0):
        assert ledger.admit(limits, at) is None
        ledger.finished(limits, at)
    reached = ledger.admit(limits, 50.0)
    assert reached is not None
    assert reached.retry_after_s == pytest.approx(10.0)
    assert ledger.admit(limits, 60.0) is None


def test_spending_stops_when_the_hour_is_used_up():
    ledger, limits = LimitLedger(), (Limit("r", usd_per_hour=1.0),)
    for at in (0.0, 600.0):
        assert ledger.admit(limits, at) is None
        ledger.spend(limits, 0.6, at)
        ledger.finished(limits, at)
    reached = ledger.admit(limits, 700.0)
    assert reached is not None
    assert reached.retry_after_s == pytest.approx(2900.0)
    assert "1 USD an hour" in str(reached)
    assert ledger.admit(limits, 3600.0) is None


def test_what_is_spent_after_the_request_has_ended_counts_too():
    ledger, limits = LimitLedger(), (Limit("tenant", usd_per_hour=1.0), Limit("route", concurrency=4))
    assert ledger.admit(limits, 0.0) is None
    ledger.finished(limits, 1.0)
    ledger.spend(limits, 1.5, 2.0)
    reached = ledger.admit(limits, 3.0)
    assert reached is not None
    assert reached.key == "tenant"
    assert ledger.running("route") == 0


def test_a_request_counts_against_all_its_limits_or_none():
    ledger = LimitLedger()
    roomy, tight = Limit("roomy", concurrency=10), Limit("tight", concurrency=1)
    assert ledger.admit((roomy, tight), 0.0) is None
    assert ledger.admit((roomy, tight), 0.0) is not None
    assert ledger.running("roomy") == 1


def test_keys_do_not_touch_each_other_and_idle_ones_are_forgotten():
    ledger = LimitLedger()
    for index in range(100):
        limit = (Limit(f"tenant {index}", concurrency=1),)
        assert ledger.admit(limit, 0.0) is None
        ledger.finished(limit, 0.0)
    assert not ledger._uses


def test_spending_of_many_requests_stays_small_in_memory():
    ledger, limits = LimitLedger(), (Limit("r", usd_per_hour=1e9),)
    for index in range(5000):
        ledger.admit(limits, index * 0.5)
        ledger.spend(limits, 0.01, index * 0.5)
        ledger.finished(limits, index * 0.5)
    assert len(ledger._uses["r"].spent) <= 60
    assert ledger._uses["r"].spent_usd == pytest.approx(50.0)


def test_what_other_routers_count_counts_too():
    ledger = LimitLedger({"tenant a": Usage(running=1, started=1, spent_usd=0.5)})
    assert ledger.admit((Limit("tenant a", concurrency=2),), 0.0) is None
    full = ledger.admit((Limit("tenant a", concurrency=2),), 0.0)
    assert full is not None
    assert ledger.admit((Limit("tenant b", concurrency=1),), 0.0) is None


def test_usages_are_what_another_router_would_add():
    ledger, limit = LimitLedger(), Limit("k", requests_per_minute=10, usd_per_hour=1.0)
    ledger.admit((limit,), 0.0)
    ledger.admit((limit,), 1.0)
    ledger.spend((limit,), 0.25, 2.0)
    ledger.finished((limit,), 2.0)
    assert ledger.usages(3.0) == {"k": Usage(running=1, started=2, spent_usd=0.25)}
    assert Usage(1, 2, 0.5) + Usage(1, 1, 0.25) == Usage(2, 3, 0.75)


def test_a_limit_reached_by_others_alone_names_no_time():
    ledger = LimitLedger({"k": Usage(started=5)})
    reached = ledger.admit((Limit("k", requests_per_minute=5),), 0.0)
    assert reached is not None
    assert reached.retry_after_s is None
