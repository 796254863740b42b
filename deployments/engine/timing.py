"""How long a request still takes, and when it is due."""

from deployments.engine.work import Costs, Rules, Standing


def needed_s(one: Standing, costs: Costs, batch: int = 1) -> float:
    """Predicted time until the image, if every remaining step runs at once in batches of `batch`."""
    return one.steps_left * costs.step_s(one.shape, batch) + costs.decode_s(one.shape)


def alone_s(one: Standing, costs: Costs) -> float:
    """Predicted time of all its steps, done and to come, in a batch of its own."""
    return one.steps * costs.step_s(one.shape, 1)


def due_s(one: Standing, rules: Rules) -> float:
    """The deadline; patience stands in for it where there is none."""
    if one.deadline_s is not None:
        return one.deadline_s
    return one.arrived_s + (rules.background_patience_s if one.background else rules.patience_s)
