"""What the engine drives: something that denoises several requests in one call.

The engine calls `prepare` and `decode` on threads of their own and `step` on the step thread; never two
methods at once for one state. All block until the work is done.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Request_contra = TypeVar("Request_contra", contravariant=True)
State = TypeVar("State")
Output_co = TypeVar("Output_co", covariant=True)


class Denoiser(Protocol[Request_contra, State, Output_co]):
    """Cuts the making of an image into prepare, many steps, and decode.

    Running out of memory is raised as the allocator raises it (deployments.memory recognises it).
    """

    def prepare(self, request: Request_contra) -> State:
        """Encodes the text and draws the noise: everything before the first denoiser call."""
        ...

    def steps_left(self, state: State) -> int:
        """Denoiser calls still to come."""
        ...

    def step(self, states: Sequence[State], width: int | None) -> Sequence[BaseException | None]:
        """One denoiser call over `states`, padded to `width` requests unless None.

        Returns what went wrong for each state alone, None for the others. When it raises, no state has
        moved and all may be stepped again, in other batches.
        """
        ...

    def preview(self, state: State) -> Callable[[], Output_co] | None:
        """A function that decodes what the state looks like now; None if it cannot be shown.

        Called on the step thread and must be cheap; the function runs on the decoding thread.
        """
        ...

    def decode(self, state: State, frugal: bool) -> Output_co:
        """The image of a state without steps left. `frugal` trades time for memory.

        When it raises for lack of memory it may be called again.
        """
        ...

    def discard(self, state: State) -> None:
        """Frees a state, finished or not. Idempotent."""
        ...

    def free_memory(self) -> None:
        """Returns cached memory to the device, after an allocation failed."""
        ...
