"""What routers tell each other: broken models, use of limits, rollbacks of the policy, feedback.

Each router asks all of them a few times a second. Nothing here is needed to answer a request: a router that
hears nothing goes on with what it sees itself. Feedback is asked for when somebody wants it: what is said of
a receipt belongs to the router that delivered it, whichever router hears it. Does not know how the others
are reached.
"""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from routing.feedback import Feedback, FeedbackBook, Verdict
from routing.limits import LimitLedger, Usage
from routing.store import Change, PolicyStore, UnknownVersion
from serve.fleet import Fleet
from serve.ledger import Delivered

logger = logging.getLogger("atelier.peers")

FORGOTTEN_AFTER_S = 5.0
"""A router that has not answered for so long does not count any more."""


@dataclass(frozen=True, slots=True)
class RouterState:
    """What one router says of itself. `router` is host, process id and a random part. `broken_s`: models
    whose breaker opened by what this router saw, with the seconds until each is worth asking. `usages`: what
    it counts against limits, by key. `rollback`: the policy change it made last, if that was a rollback."""

    router: str
    broken_s: Mapping[str, float] = field(default_factory=dict)
    usages: Mapping[str, Usage] = field(default_factory=dict)
    rollback: Change | None = None


class AskAll(Protocol):
    """Calls one of the methods below that routers have for each other on every router, this one included."""

    async def __call__(self, method: str, *arguments: Any) -> Sequence[Any]:
        """The answers of those that answered."""
        ...


class Peers:
    """This router among the others. `ask_all` reaches every router; its own answer is passed over."""

    def __init__(
        self,
        fleet: Fleet,
        limits: LimitLedger,
        policies: PolicyStore,
        delivered: Delivered,
        ask_all: AskAll | None = None,
    ) -> None:
        self._router = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._fleet = fleet
        self._limits = limits
        self._policies = policies
        self._delivered = delivered
        self._book = FeedbackBook()
        self._ask_all = ask_all
        self._heard: dict[str, tuple[float, RouterState]] = {}

    def state(self) -> RouterState:
        now_s = time.monotonic()
        last = self._policies.history[-1]
        return RouterState(
            router=self._router,
            broken_s=self._fleet.broken(now_s),
            usages=self._limits.usages(now_s),
            rollback=last if last.rollback else None,
        )

    def judge(self, receipt_id: str, verdict: Verdict, minutes: float) -> bool:
        """Notes what was said of a receipt; False when this router has not delivered it lately."""
        known = self._delivered.get(receipt_id)
        if known is None:
            return False
        said = Feedback(receipt_id, known.route, verdict, minutes, known.experiment, known.arm)
        self._book.add(said)
        return True

    def judged(self) -> FeedbackBook:
        """What was said of this router's deliveries."""
        return self._book.counts()

    async def judge_anywhere(self, receipt_id: str, verdict: Verdict, minutes: float) -> bool:
        """As `judge`, by the router that delivered it."""
        if self.judge(receipt_id, verdict, minutes):
            return True
        return self._ask_all is not None and any(await self._ask_all("judge", receipt_id, verdict, minutes))

    async def judged_anywhere(self) -> FeedbackBook:
        """What was said of the deliveries of all routers that answer."""
        if self._ask_all is None:
            return self.judged()
        return FeedbackBook.joined(await self._ask_all("judged"))

    async def exchange(self) -> None:
        """Asks everybody once and takes over what they say."""
        if self._ask_all is None:
            return
        states = await self._ask_all("state")
        self.hear(states, time.monotonic())
        for state in states:
            if state.rollback is not None and state.rollback.at_s > self._policies.history[-1].at_s:
                await asyncio.to_thread(self._follow, state.rollback)

    def hear(self, states: Sequence[RouterState], now_s: float) -> None:
        """Takes over broken models and use of limits, and counts the routers."""
        for state in states:
            if state.router == self._router:
                continue
            self._heard[state.router] = now_s, state
            self._fleet.hear_broken(state.broken_s, now_s)
        self._heard = {
            router: (at_s, state)
            for router, (at_s, state) in self._heard.items()
            if now_s - at_s <= FORGOTTEN_AFTER_S
        }
        self._fleet.routers = 1 + len(self._heard)
        self._limits.elsewhere = _sum(state.usages for _, state in self._heard.values())

    def _follow(self, rollback: Change) -> None:
        """A rollback on one router is one on all of them, unless something newer came into force here.
        Blocking: puts an engine together."""
        try:
            self._policies.rollback(rollback.after, rollback.at_s)
        except UnknownVersion:
            logger.warning("another router went back to policy %s, unknown here", rollback.after)
        else:
            logger.info("policy %s in force, as on another router", rollback.after)


def _sum(all_usages: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    total: dict[str, Usage] = {}
    for usages in all_usages:
        for key, usage in usages.items():
            total[key] = total.get(key, Usage()) + usage
    return total
