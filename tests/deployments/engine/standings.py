"""Queues of standing requests and what their steps cost: what a plan is made from."""

from dataclasses import dataclass, field, replace

from deployments.engine.planning import plan
from deployments.engine.work import Rules, Shape, Standing

SMALL, LARGE = Shape(512, 512), Shape(1024, 1024)


@dataclass(frozen=True)
class FixedCosts:
    """Step time = fixed + per_request * batch; 0 means nothing is known."""

    fixed_s: float = 0.1
    per_request_s: float = 0.1
    decode: float = 0.0
    caps: dict[Shape, int] = field(default_factory=dict)

    def step_s(self, shape: Shape, batch: int) -> float:
        return self.fixed_s + self.per_request_s * batch

    def decode_s(self, shape: Shape) -> float:
        return self.decode

    def cap(self, shape: Shape) -> int:
        return self.caps.get(shape, 4)


ROOMY, DEFAULT = FixedCosts(), Rules()


def standing(number: int, steps: int = 10, deadline_s: float | None = None, **changes: object) -> Standing:
    return replace(Standing(number, SMALL, steps, arrived_s=float(number), deadline_s=deadline_s), **changes)  # type: ignore[arg-type]


def chosen(
    *queue: Standing,
    now_s: float = 10.0,
    costs: FixedCosts = ROOMY,
    rules: Rules = DEFAULT,
    last: Shape | None = None,
) -> tuple[int, ...]:
    batch = plan(queue, costs, now_s, rules, last).batch
    return batch.numbers if batch else ()


def refused(*queue: Standing, now_s: float = 10.0, costs: FixedCosts = ROOMY) -> dict[int, float]:
    return {one.number: one.predicted_s for one in plan(queue, costs, now_s, Rules()).refused}
