"""What is asked for: kinds of request mixed by weight, and the calls of a run.

The mix is fixed by a seed before the run starts, so that two runs ask for the same things in the same
order. Knows OpenAI's Images request and the `atelier` object in it, and nothing of HTTP.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadtests.arrivals import Times


@dataclass(frozen=True, slots=True)
class Shot:
    """One kind of request. `weight` is its share among all kinds, relative to the others.

    `prompts` are taken in turn. `seeds` too, where given; otherwise the service chooses. `options` holds
    further keys of the request's `atelier` object. None leaves a field to the service's default.
    """

    name: str
    prompts: Sequence[str]
    weight: float = 1.0
    model: str | None = None
    size: str | None = None
    n: int = 1
    quality: str | None = None
    output_format: str | None = None
    asset: str | None = None
    seeds: Sequence[int] = ()
    steps: int | None = None
    max_latency_ms: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a run: the `turn`th of its shot, due `at_s` seconds after the run's start."""

    index: int
    at_s: float
    shot: Shot
    turn: int

    @property
    def prompt(self) -> str:
        return self.shot.prompts[self.turn % len(self.shot.prompts)]

    @property
    def seed(self) -> int | None:
        return self.shot.seeds[self.turn % len(self.shot.seeds)] if self.shot.seeds else None

    def body(self) -> dict[str, Any]:
        """The JSON body of POST /v1/images/generations."""
        shot = self.shot
        options = {
            "asset": shot.asset,
            "seed": self.seed,
            "steps": shot.steps,
            "max_latency_ms": shot.max_latency_ms,
            **shot.options,
        }
        body = {
            "prompt": self.prompt,
            "model": shot.model,
            "size": shot.size,
            "n": shot.n if shot.n != 1 else None,
            "quality": shot.quality,
            "output_format": shot.output_format,
            "response_format": "b64_json",
            "atelier": _without_none(options) or None,
        }
        return _without_none(body)


def calls(times: Times, shots: Sequence[Shot], seed: int = 0) -> Iterator[Call]:
    """One call per arrival time. Raises ValueError without shots or with weights that add up to nothing."""
    weights = np.array([shot.weight for shot in shots], dtype=np.float64)
    if not len(weights) or (weights < 0).any() or weights.sum() <= 0:
        raise ValueError("a mix needs at least one shot with a weight greater than 0, and none below 0")
    # A stream of its own: the same mix, whatever the arrivals drew from the same seed.
    rng = np.random.default_rng([seed, 1])
    choices = rng.choice(len(shots), size=len(times), p=weights / weights.sum())
    turns = [0] * len(shots)
    for index, (at_s, choice) in enumerate(zip(times.tolist(), choices.tolist(), strict=True)):
        yield Call(index, at_s, shots[choice], turns[choice])
        turns[choice] += 1


def _without_none(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}
