import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import BackPressureError

from deployments import errors
from deployments.client import LocalModelClient, RayModelClient, translate
from deployments.types import ModelLoad, PartialImage, RenderRequest, RenderResult
from tests.serve.gateways import echo


def remote(cause: Exception) -> RayTaskError:
    return RayTaskError("render", "Traceback ... pid=42, ip=192.0.2.2", cause)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (remote(errors.OutOfMemory("model m ran out of memory")), errors.OutOfMemory),
        (errors.Unsupported("no", "size"), errors.Unsupported),
        (BackPressureError(5, 4), errors.CapacityRefused),
        (ActorDiedError(), errors.ReplicaLost),
        (TaskCancelledError(), errors.ReplicaLost),
        (remote(ValueError("/secret/path")), errors.ModelFailed),
        (KeyError("surprise"), errors.ModelFailed),
    ],
)
def test_what_a_call_raises_becomes_ours_and_shows_nothing(
    raised: Exception, expected: type[errors.RenderError]
) -> None:
    error = translate(raised, "m")
    assert type(error) is expected
    assert not any(hint in error.message for hint in ("pid", "192.0.2", "Traceback", "secret", "surprise"))


async def test_a_local_client_speaks_the_same_errors() -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise ValueError("inside")

    request = RenderRequest("r", "x", 8, 8, 1)
    with pytest.raises(errors.ModelFailed, match="model m failed"):
        await LocalModelClient("m", fail).render(request)
    model = echo("m")
    client = LocalModelClient("m", model.render, model.load_report)
    assert (await client.render(request)).receipt.model == "m"
    assert len(await client.load_reports()) == 1
    task = asyncio.ensure_future(LocalModelClient("m", echo("m", fails_with="hang").render).render(request))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


REQUEST = RenderRequest("r", "x", 8, 8, 1, partial_images=1)


class Response:
    """The part of Ray's responses that is used here: awaited, iterated or gathered, and cancelled."""

    def __init__(self, *events: Any, waits: bool = False) -> None:
        self._events = events
        self._waits = waits
        self.cancelled = False

    async def results_async(self) -> Any:
        return await self

    def __await__(self) -> Any:
        return self._first().__await__()

    async def _first(self) -> Any:
        return await anext(aiter(self))

    async def __aiter__(self) -> AsyncIterator[Any]:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event
        if self._waits:
            await asyncio.Event().wait()

    def cancel(self) -> None:
        self.cancelled = True


class Handle:
    """The part of Ray's DeploymentHandle that is used here."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def options(self, **_: Any) -> "Handle":
        return self

    def remote(self, request: RenderRequest) -> Response:
        return self._response

    def broadcast(self, method: str) -> Response:
        return self._response


def client(response: Response) -> RayModelClient:
    return RayModelClient("m", Handle(response))  # type: ignore[arg-type]


async def test_cancelling_a_call_cancels_it_in_ray() -> None:
    response = Response(waits=True)
    task = asyncio.ensure_future(client(response).render(REQUEST))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert response.cancelled


async def test_leaving_a_stream_cancels_it_in_ray() -> None:
    events = [each async for each in echo_events()]
    response = Response(*events, waits=True)
    stream = client(response).stream(REQUEST)
    assert isinstance(await anext(stream), PartialImage)
    await stream.aclose()  # type: ignore[attr-defined]
    assert response.cancelled


async def echo_events() -> AsyncIterator[PartialImage | RenderResult]:
    async for event in LocalModelClient("m", echo("m").render).stream(REQUEST):
        yield event


async def test_a_call_and_a_stream_that_fail_raise_ours() -> None:
    lost = client(Response(ActorDiedError()))
    with pytest.raises(errors.ReplicaLost):
        await lost.render(REQUEST)
    with pytest.raises(errors.ReplicaLost):
        await anext(lost.stream(REQUEST))


async def test_replicas_that_do_not_answer_a_poll_are_left_out() -> None:
    load = ModelLoad(running=1)
    assert await client(Response([load, ActorDiedError(), load])).load_reports() == [load, load]
    assert await client(Response(ActorDiedError())).load_reports() == []
