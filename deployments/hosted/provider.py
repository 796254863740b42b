"""What a provider's adapter does: checks and maps a request, sends it, says what came back.

One file per provider implements this. model.py does everything that is the same for all.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from deployments.errors import RenderError
from deployments.types import RenderRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request that the provider took, and so bills.

    One of: the bytes of an image file, a link to one, or why neither came (a connection that was lost on the
    way among it: the provider may have worked). `seed` is the one that was used, None where the provider
    knows no seeds. `details` are JSON values for the receipt.
    """

    data: bytes | None = None
    url: str | None = None
    failure: RenderError | None = None
    seed: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class TimedOut(Exception):
    """The time was up after the request had been sent: the provider may still work on it, and bill it."""


Send = Callable[[float], Awaitable[Answer]]
"""Sends a request that was checked, once. Takes the seconds it may take.

Raises TimedOut; KeyUnavailable; or RenderError when the provider refused or failed: nothing is billed then.
Two of those are worth a second try: `failures.Unreachable` and `CapacityRefused`.
"""


class Provider(Protocol):
    @property
    def name(self) -> str:
        """For people: in messages and receipts."""
        ...

    @property
    def revision(self) -> str:
        """Which model with which settings: part of every receipt."""
        ...

    def prepare(self, request: RenderRequest) -> Send:
        """Raises Unsupported for what the provider does not offer. Nothing has been sent then.

        Encodes pictures: to be called in a thread when the request has one."""
        ...

    async def close(self) -> None: ...
