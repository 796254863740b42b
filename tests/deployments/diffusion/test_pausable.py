import threading

import pytest

from deployments.diffusion.pausable import Abandoned, Pausable, Pause, Paused, Raised, Returned


def adds(pause: Pause) -> int:
    return int(pause("first")) + int(pause("second"))


def started(body: object) -> Pausable[int]:
    one: Pausable[int] = Pausable(body, "test")  # type: ignore[arg-type]
    one.start()
    return one


def test_it_stops_where_it_asks_and_goes_on_with_the_answer() -> None:
    one = started(adds)
    assert one.wait() == Paused("first")
    one.resume(20)
    assert one.wait() == Paused("second")
    one.resume(22)
    assert one.wait() == Returned(42)


def test_what_it_raises_is_handed_out() -> None:
    error = ValueError("no")

    def fails(pause: Pause) -> int:
        raise error

    assert started(fails).wait() == Raised(error)


def test_several_run_between_two_waits() -> None:
    ones = [started(adds) for _ in range(8)]
    for one in ones:
        assert one.wait() == Paused("first")
    for one in ones:
        one.resume(1)
    assert [one.wait() for one in ones] == [Paused("second")] * 8
    for one in ones:
        one.abandon()


def test_abandoning_unwinds_it_and_ends_its_thread() -> None:
    unwound = []

    def careful(pause: Pause) -> int:
        try:
            return int(pause("something"))
        except Abandoned:
            unwound.append("abandoned")
            raise
        finally:
            unwound.append("freed")

    before = threading.active_count()
    one = started(careful)
    one.wait()
    one.abandon()
    one.abandon()
    assert unwound == ["abandoned", "freed"]
    assert threading.active_count() == before


def test_abandoning_what_has_ended_does_nothing() -> None:
    one = started(lambda pause: 1)
    assert one.wait() == Returned(1)
    one.abandon()


def test_waiting_for_what_has_ended_is_an_error_and_not_for_ever() -> None:
    one = started(lambda pause: 1)
    one.wait()
    with pytest.raises(RuntimeError, match="ended"):
        one.wait()
