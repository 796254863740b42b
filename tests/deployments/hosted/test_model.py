"""What is the same for all providers: time, tries, costs, learning."""

import asyncio
import contextlib
import logging
import pickle
import socket
from typing import Any

import pytest

from deployments import errors
from deployments.hosted import model as hosted_model
from deployments.hosted.keys import KeyUnavailable
from deployments.types import EncodedImage
from tests.deployments.hosted.building import ideogram, openai_images, request
from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import DOWN, RATE_LIMIT, OpenAIStandIn
from tests.deployments.hosted.standin import KEY, KEY_VARIABLE, Hang, Paint, Refuse, painting

PRICE = {"pricing": {"usd_per_image": 0.08}}


async def test_one_replica_holds_many_calls_at_once(openai_api: OpenAIStandIn) -> None:
    """None of them is answered before all have arrived."""
    arrived = asyncio.Barrier(32)
    answer = openai_api._answer

    async def together(*arguments: Any) -> Any:
        await arrived.wait()
        return await answer(*arguments)

    openai_api._answer = together  # type: ignore[method-assign]
    model = openai_images(openai_api, "gpt-image-2", max_ongoing_requests=32)
    async with asyncio.timeout(20):
        results = await asyncio.gather(*(model.render(request(256, 256)) for _ in range(32)))
    assert len(results) == 32
    assert model.load_report().running == 0
    await model.close()


async def test_the_deadline_goes_along_as_the_client_s_timeout(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "gpt-image-2")
    await model.render(request(budget_s=30))
    await model.render(request())
    timeouts = [float(call.headers["x-stainless-read-timeout"]) for call in openai_api.calls]
    assert 20 < timeouts[0] <= 30 - hosted_model.HAND_OVER_S
    assert 110 < timeouts[1] <= 120  # without a deadline the spec's
    await model.close()


async def test_a_call_ends_before_its_caller_gives_up(
    openai_api: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_model, "HAND_OVER_S", 1.7)  # more than a busy machine is late
    openai_api.behaviours.append(Hang())
    model = openai_images(openai_api, "gpt-image-2", **PRICE)
    asked = request(budget_s=2.0)
    with pytest.raises(errors.DeadlineExceeded, match="OpenAI took longer than the time left") as caught:
        await model.render(asked)
    assert asked.remaining_s() is not None
    assert (asked.remaining_s() or 0.0) > 0
    assert caught.value.cost_usd == 0.08  # they may be painting still
    await model.close()


async def test_what_comes_too_late_is_not_sent(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "gpt-image-2", **PRICE)
    with pytest.raises(errors.DeadlineExceeded) as caught:
        await model.render(request(budget_s=hosted_model.HAND_OVER_S / 2))
    assert caught.value.cost_usd == 0.0
    assert openai_api.calls == []
    await model.close()


async def test_a_server_that_cannot_be_reached_costs_nothing(openai_api: OpenAIStandIn) -> None:
    """Connecting ends before the time does, and is not mistaken for a slow answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with contextlib.ExitStack() as waiting:
            for _ in range(3):  # fills the queue of connections that nobody accepts
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(address)
            openai_api.origin = f"http://127.0.0.1:{address[1]}"
            model = openai_images(openai_api, "gpt-image-2", retries=0, **PRICE)
            with pytest.raises(errors.ModelFailed, match="OpenAI cannot be reached") as caught:
                await model.render(request(budget_s=2.5))
    assert caught.value.cost_usd == 0.0
    await model.close()


async def test_a_provider_that_never_answers_is_a_failure_of_the_model(openai_api: OpenAIStandIn) -> None:
    openai_api.behaviours.append(Hang())
    model = openai_images(openai_api, "gpt-image-2", timeout_s=0.2)
    with pytest.raises(errors.ModelFailed, match=r"OpenAI took longer than 0\.2 s"):
        await model.render(request())
    await model.close()


async def test_cancelling_ends_the_call(openai_api: OpenAIStandIn) -> None:
    openai_api.behaviours.append(Hang())
    model = openai_images(openai_api, "gpt-image-2")
    rendering = asyncio.create_task(model.render(request()))
    await openai_api.arrived.wait()
    assert model.load_report().running == 1
    rendering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rendering
    assert model.load_report().running == 0
    await model.close()


async def test_a_cost_crosses_processes_with_its_error(openai_api: OpenAIStandIn) -> None:
    openai_api.behaviours.append(Paint(b"no image"))
    model = openai_images(openai_api, "gpt-image-2", **PRICE)
    with pytest.raises(errors.ModelFailed) as caught:
        await model.render(request())
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert (type(arrived), arrived.message, arrived.cost_usd) == (
        errors.ModelFailed,
        caught.value.message,
        0.08,
    )
    await model.close()


async def test_no_connection_is_tried_again_while_there_is_time(
    openai_api: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_model, "BACK_OFF_S", 0.05)
    model = openai_images(openai_api, "gpt-image-2", expected_ms=10, retries=1, **PRICE)
    client = model._provider._calls._client  # type: ignore[attr-defined]
    good, client.base_url = str(client.base_url), "http://127.0.0.1:9/v1"

    async def back_up() -> None:
        await asyncio.sleep(0.02)
        client.base_url = good

    mending = asyncio.create_task(back_up())
    result = await model.render(request(budget_s=10))
    await mending
    assert result.receipt.cost_usd == 0.08
    assert len(openai_api.calls) == 1
    client.base_url = "http://127.0.0.1:9/v1"
    with pytest.raises(errors.ModelFailed, match="OpenAI cannot be reached") as caught:
        await model.render(request(budget_s=10))
    assert caught.value.cost_usd == 0.0
    await model.close()


async def test_waiting_for_a_rate_limit_leaves_time_for_the_call(openai_api: OpenAIStandIn) -> None:
    """With 30 s left, a wait of 20 s and a call of 15 s, nothing is tried."""
    openai_api.behaviours.append(Refuse(429, RATE_LIMIT.body, {"retry-after": "20"}))
    model = openai_images(openai_api, "gpt-image-2", expected_ms=15_000, retries=3)
    with pytest.raises(errors.CapacityRefused) as caught:
        await model.render(request(budget_s=30))
    assert 10 < (caught.value.retry_after_s or 0) <= 20
    assert 10_000 < model.load_report().wait_ms <= 20_000
    assert len(openai_api.calls) == 1
    await model.close()


async def test_waiting_for_a_rate_limit_is_queueing_and_not_work(openai_api: OpenAIStandIn) -> None:
    openai_api.behaviours.append(Refuse(429, RATE_LIMIT.body, {"retry-after-ms": "400"}))
    model = openai_images(openai_api, "gpt-image-2", expected_ms=10)
    receipt = (await model.render(request(256, 256, budget_s=30))).receipt
    assert receipt.queue_ms >= 400
    assert model.load_report().overhead_ms == receipt.run_ms
    await model.close()


async def test_a_rate_limit_of_our_own_is_kept(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "gpt-image-2", requests_per_minute=2)
    for _ in range(2):
        await model.render(request(budget_s=30))
    with pytest.raises(errors.CapacityRefused) as caught:
        await model.render(request(budget_s=30))
    assert 50 < (caught.value.retry_after_s or 0) <= 60
    assert len(openai_api.calls) == 2
    await model.close()


async def test_it_learns_how_long_calls_take(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "gpt-image-2", expected_ms=50_000)
    before = model.load_report()
    assert (before.overhead_ms, before.observed) == (50_000, 0)
    await model.render(request(256, 256))
    after = model.load_report()
    assert 0 < after.overhead_ms < 20_000
    assert (after.observed, after.parallelism) == (1, 16)
    openai_api.behaviours.append(DOWN)
    with pytest.raises(errors.ModelFailed):
        await model.render(request())
    assert model.load_report().overhead_ms == after.overhead_ms  # a quick failure is no quick call
    await model.close()


async def test_a_larger_image_is_scaled_down_in_its_shape(ideogram_api: IdeogramStandIn) -> None:
    wide = painting("other", 1312, 736)
    ideogram_api.behaviours.append(Paint(wide))
    model = ideogram(ideogram_api, "V_3")
    result = await model.render(request(640, 360))
    assert isinstance(result.image, EncodedImage)
    assert (result.image.width, result.image.height) == (640, 360)
    assert ideogram_api.calls[0].fields["resolution"] == "1312x736"
    await model.close()


async def test_the_next_stage_gets_pixels(ideogram_api: IdeogramStandIn) -> None:
    model = ideogram(ideogram_api, "V_1")
    result = await model.render(request(256, 256, encoding=None))
    assert not isinstance(result.image, EncodedImage)
    assert result.image.shape == (256, 256, 3)
    await model.close()


def test_without_its_key_a_replica_does_not_start(
    openai_api: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(KeyUnavailable, match=f"environment variable {KEY_VARIABLE} is not set"):
        openai_images(openai_api, "gpt-image-2")


async def test_a_key_that_disappears_is_named_in_the_log_alone(
    openai_api: OpenAIStandIn,
    ideogram_api: IdeogramStandIn,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("atelier"), "propagate", True)
    models = [openai_images(openai_api, "gpt-image-2", **PRICE), ideogram(ideogram_api, "V_3", **PRICE)]
    monkeypatch.delenv(KEY_VARIABLE)
    for model in models:
        with pytest.raises(errors.ModelFailed, match=r"the API key of .* is missing") as caught:
            await model.render(request())
        assert caught.value.cost_usd == 0.0
        assert f"environment variable {KEY_VARIABLE} is not set" in caplog.text
        caplog.clear()
        await model.close()
    assert openai_api.calls == ideogram_api.calls == []


async def test_a_rotated_key_is_used_for_the_next_call(
    openai_api: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-old")
    model = openai_images(openai_api, "gpt-image-2")
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    await model.render(request())
    assert len(openai_api.calls) == 1
    await model.close()


def test_loading_costs_nothing(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "dall-e-3", quality="hd")
    asyncio.run(model.load())
    model.check_health()
    assert openai_api.calls == []
