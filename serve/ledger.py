"""What this router delivered lately: which route and arm a receipt belongs to."""

from collections import OrderedDict
from dataclasses import dataclass

from routing.types import Decision

KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Delivery:
    route: str
    experiment: str | None
    arm: str | None


class Delivered:
    """The newest `kept` deliveries by request id."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._deliveries: OrderedDict[str, Delivery] = OrderedDict()

    def add(self, request_id: str, decision: Decision) -> None:
        self._deliveries[request_id] = Delivery(decision.route, decision.experiment, decision.arm)
        self._deliveries.move_to_end(request_id)
        while len(self._deliveries) > self._kept:
            self._deliveries.popitem(last=False)

    def get(self, request_id: str) -> Delivery | None:
        return self._deliveries.get(request_id)
