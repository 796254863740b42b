import asyncio

import pytest
from ray.exceptions import ActorDiedError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import BackPressureError

from deployments import errors
from deployments.client import LocalModelClient, translate
from deployments.types import RenderRequest, RenderResult
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
