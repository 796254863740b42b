"""How a caller reaches a model. The only place that makes remote calls; no Ray type leaves it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from ray.exceptions import RayActorError, RayError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle

from deployments import errors
from deployments.types import ModelLoad, PartialImage, RenderRequest, RenderResult

logger = logging.getLogger("atelier.client")


class ModelClient(Protocol):
    """One model, wherever it runs. Raises only `deployments.errors.RenderError`.

    Cancelling a call cancels the work.
    """

    @property
    def name(self) -> str: ...

    async def render(self, request: RenderRequest) -> RenderResult: ...

    def stream(self, request: RenderRequest) -> AsyncIterator[PartialImage | RenderResult]:
        """Previews, then one result."""
        ...

    async def load_reports(self) -> list[ModelLoad]:
        """One of each replica that answers. Empty: no replica is up."""
        ...


class RayModelClient:
    """A model behind a Ray Serve deployment handle."""

    def __init__(self, name: str, handle: "DeploymentHandle[Any]") -> None:
        self._name = name
        self._render = handle.options(method_name="render")
        self._stream = handle.options(method_name="render_stream", stream=True)
        self._handle = handle

    @property
    def name(self) -> str:
        return self._name

    async def render(self, request: RenderRequest) -> RenderResult:
        response = self._render.remote(request)
        try:
            result: RenderResult = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except Exception as error:
            raise translate(error, self._name) from None
        return result

    async def stream(self, request: RenderRequest) -> AsyncIterator[PartialImage | RenderResult]:
        responses = self._stream.remote(request)
        try:
            async for event in responses:
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            responses.cancel()
            raise
        except Exception as error:
            raise translate(error, self._name) from None

    async def load_reports(self) -> list[ModelLoad]:
        try:
            answers = await self._handle.broadcast("load_report").results_async()
        except Exception as error:
            logger.debug("no load report from %s: %s", self._name, type(error).__name__)
            return []
        return [answer for answer in answers if isinstance(answer, ModelLoad)]


class LocalModelClient:
    """A model in this process, behind the same interface: the gateway runs and is tested without Ray.

    `render` may be any coroutine function of a request, such as a `Model`'s.
    """

    def __init__(
        self,
        name: str,
        render: Callable[..., Any],
        load_report: Callable[[], ModelLoad] = ModelLoad,
    ) -> None:
        self._name = name
        self._call = render
        self._load_report = load_report

    @property
    def name(self) -> str:
        return self._name

    async def render(self, request: RenderRequest) -> RenderResult:
        try:
            result: RenderResult = await self._call(request)
        except Exception as error:
            raise translate(error, self._name) from None
        return result

    async def stream(self, request: RenderRequest) -> AsyncIterator[PartialImage | RenderResult]:
        partials: list[PartialImage] = []
        try:
            result: RenderResult = await self._call(request, partials.append)
        except Exception as error:
            raise translate(error, self._name) from None
        for partial in partials:
            yield partial
        yield result

    async def load_reports(self) -> list[ModelLoad]:
        return [self._load_report()]


def translate(error: Exception, model: str) -> errors.RenderError:
    """What a remote call raised, as one of our errors. Messages of Ray's own errors hold tracebacks,
    pids and addresses, so they are logged by type and not passed on."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    match cause:
        case errors.RenderError():
            return cause
        case BackPressureError():
            return errors.CapacityRefused(f"the queue of model {model} is full", cause.retry_after_s)
        case RayActorError():
            return errors.ReplicaLost(f"a replica of model {model} was lost")
        case DeploymentUnavailableError():
            return errors.ModelFailed(f"model {model} is not running")
        case TaskCancelledError() | RayServeException() | RayError():
            logger.warning("call to model %s ended with %s", model, type(cause).__name__)
            return errors.ReplicaLost(f"the call to model {model} was lost")
        case _:
            logger.error("call to model %s ended with %s", model, type(cause).__name__)
            return errors.ModelFailed(f"model {model} failed")
