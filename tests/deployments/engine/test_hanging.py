"""Calls that do not come back: the health check says so, and no sooner than it may."""

from collections.abc import Callable
from typing import Any

import pytest

from deployments import errors
from deployments.engine.fakes import FakeDenoiser
from deployments.engine.jobs import Previews
from tests.deployments.engine.engines import SHAPE, WAIT_S, Gate, MakeEngine, ask, result


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
    engine = make_engine(FakeDenoiser(wait=gate, **seconds), clock=lambda: now_s, hung_after_s=30.0)
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
        FakeDenoiser(prepare_s=1.0, wait=gate),
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
