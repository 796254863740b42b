"""What a replica hosts: the one interface behind every kind of model.

A model knows nothing of Ray or HTTP. Its replica (replica.py) brings it requests, a trace context and a
deadline, and turns what it raises into outcomes.
"""

from collections.abc import Callable
from typing import Protocol

from deployments.types import ModelLoad, PartialImage, RenderRequest, RenderResult

PartialSink = Callable[[PartialImage], None]
"""Takes previews while a render goes on. Called on the event loop; must not block."""


class Model(Protocol):
    """Lifecycle: constructed, `load`ed once, many concurrent `render`s, `close`d.

    `render` raises only `deployments.errors.RenderError` for what it foresees; anything else is taken as
    a failure of the model. Cancelling the coroutine ends the work at the next step, tile or call
    boundary, and frees what the request held. It must not block the event loop: work that computes runs
    in a thread.
    """

    @property
    def revision(self) -> str:
        """Identifies the weights and code that make the pixels: part of every receipt."""
        ...

    async def load(self) -> None:
        """Reads weights and renders something small, so that the first request is not the slow one."""
        ...

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult: ...

    def load_report(self) -> ModelLoad:
        """Cheap; called often."""
        ...

    def check_health(self) -> None:
        """Raises when the replica should be replaced: the device is lost, the engine's loop has died."""
        ...

    async def close(self) -> None: ...
