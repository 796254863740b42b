"""How long a routing decision and a policy load take, at 10, 1,000 and 10,000 routes.

Every request is new text of about 200 characters, half of them meant for some route; each decision matches
all patterns and plans a ladder with fallbacks under load. Baseline: Python's `re`, each pattern in turn until
one is found, without any planning.

Times are of CPU, which is what the code decides; on a machine that is shared the wall clock says more about
the neighbours. Its p99 is printed beside them.

    python -m benchmarks.routing_decision
"""

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from routing.decide import PolicyEngine
from routing.policy import load_policy
from routing.types import AssetRequest, Capability, ModelFacts, ModelState, Snapshot

ROUTE_COUNTS = (10, 1_000, 10_000)
WARM_UP = 3_000
MEASURED = 5_000
BASELINE_MEASURED = 200
P99_BAR_US = 100.0
RATIO_BAR = 2.0
LOAD_BAR_S = 2.0
LONG_PROMPT_BYTES = (4_096, 8_192, 16_384, 32_768)

_MODELS = {
    facts.name: facts
    for facts in (
        ModelFacts("typeset", frozenset({Capability.GENERATE, Capability.TYPESET}), prior_overhead_ms=15),
        ModelFacts("large", frozenset({Capability.GENERATE}), default_steps=28),
        ModelFacts("turbo", frozenset({Capability.GENERATE}), default_steps=4),
        ModelFacts("hosted", frozenset({Capability.GENERATE}), deterministic=False, usd_per_image=0.04),
        ModelFacts("upscale_2x", frozenset({Capability.UPSCALE}), scale=2),
    )
}
_SNAPSHOT = Snapshot(
    {
        "typeset": ModelState(overhead_ms=15, observed=9),
        "large": ModelState(wait_ms=700, overhead_ms=80, step_ms=9, step_ms_per_megapixel=30, observed=900),
        "turbo": ModelState(wait_ms=20, overhead_ms=40, step_ms=9, step_ms_per_megapixel=30, observed=900),
        "hosted": ModelState(overhead_ms=2500, observed=50),
        "upscale_2x": ModelState(overhead_ms=60, observed=50),
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    routes: int
    load_s: float
    p50_us: float
    p99_us: float
    wall_p99_us: float
    baseline_p50_us: float


def words(count: int, seed: int) -> list[str]:
    """Pronounceable, of 4 to 8 letters."""
    chance = random.Random(seed)
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvwz" for vowel in "aeiou"]
    return ["".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(count)]


def keyword(vocabulary: Sequence[str], route: int) -> str:
    return f"{vocabulary[route % len(vocabulary)]}-{route}"


def policy_text(routes: int, vocabulary: Sequence[str]) -> str:
    """Every second route is the plain form, every other has a ladder, a fallback and a condition."""
    lines = ["default: {model: turbo, max_latency_ms: 2000}", "model_routing:"]
    for index in range(routes):
        lines += [f'  - pattern: ".*{keyword(vocabulary, index)}.*"']
        if index % 2:
            lines += ["    model: typeset", "    max_latency_ms: 300"]
        else:
            lines += [
                "    match: {needs: generate}",
                "    quality: [{model: large}, {model: large, steps: 12}, {stages: [turbo, upscale_2x]}]",
                "    fallback: [turbo, hosted]",
                "    max_latency_ms: 1500",
            ]
    return "\n".join(lines)


def requests(count: int, routes: int, vocabulary: Sequence[str], seed: int) -> list[AssetRequest]:
    chance = random.Random(seed)
    made = []
    for index in range(count):
        text = chance.choices(vocabulary, k=30)
        if index % 4 == 0:
            text.insert(chance.randrange(30), keyword(vocabulary, chance.randrange(routes)))
        asset = keyword(vocabulary, chance.randrange(routes)) if index % 4 == 1 else None
        made.append(AssetRequest(" ".join(text), asset=asset, n=1 + index % 2))
    return made


def measure(routes: int) -> Row:
    vocabulary = words(20_000, seed=1)
    text = policy_text(routes, vocabulary)
    started = time.process_time()
    engine = PolicyEngine(load_policy(text, source="bench", models=_MODELS), _MODELS)
    load_s = time.process_time() - started
    for request in requests(WARM_UP, routes, vocabulary, seed=2):
        engine.decide(request, _SNAPSHOT, 0.0)
    measured = requests(MEASURED, routes, vocabulary, seed=3)
    times = _times_us(lambda request: engine.decide(request, _SNAPSHOT, 0.0), measured)
    baseline = _times_us(_one_after_the_other(routes, vocabulary), measured[:BASELINE_MEASURED])
    return Row(
        routes,
        load_s,
        p50_us=_quantile(times.cpu_us, 0.5),
        p99_us=_quantile(times.cpu_us, 0.99),
        wall_p99_us=_quantile(times.wall_us, 0.99),
        baseline_p50_us=_quantile(baseline.cpu_us, 0.5),
    )


def _one_after_the_other(routes: int, vocabulary: Sequence[str]) -> Callable[[AssetRequest], object]:
    patterns = [re.compile(re.escape(keyword(vocabulary, index))) for index in range(routes)]

    def first(request: AssetRequest) -> int | None:
        for index, pattern in enumerate(patterns):
            if pattern.search(request.prompt) or (request.asset and pattern.search(request.asset)):
                return index
        return None

    return first


def long_prompts() -> list[tuple[int, float]]:
    """Bytes of prompt and microseconds of a decision, with patterns that make backtracking explode."""
    hostile = ["(a+)+$", "(a|aa)+b", "(.*a){12}c", "a.{0,40}b.{0,40}c"]
    routes = "".join(f"  - {{pattern: '{pattern}z', model: turbo}}\n" for pattern in hostile)
    text = f"default: {{model: turbo}}\nmodel_routing:\n{routes}"
    engine = PolicyEngine(load_policy(text, source="bench", models=_MODELS), _MODELS)
    found = []
    for size in LONG_PROMPT_BYTES:
        prompt = ("a" * 61 + " b ") * (size // 64)
        times = _times_us(lambda one: engine.decide(one, _SNAPSHOT, 0.0), [AssetRequest(prompt)] * 20)
        found.append((size, _quantile(times.cpu_us, 0.5)))
    return found


@dataclass(frozen=True, slots=True)
class Times:
    cpu_us: list[float]
    wall_us: list[float]


def _times_us(run: Callable[[AssetRequest], object], made: Sequence[AssetRequest]) -> Times:
    times = Times([], [])
    for request in made:
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        run(request)
        times.cpu_us.append((time.thread_time_ns() - cpu) / 1000)
        times.wall_us.append((time.perf_counter_ns() - wall) / 1000)
    return times


def _quantile(values: Sequence[float], ratio: float) -> float:
    return sorted(values)[int(ratio * (len(values) - 1))]


def main() -> None:
    rows = [measure(routes) for routes in ROUTE_COUNTS]
    print("A routing decision, full matching and planning (baseline: Python re, pattern after pattern)")
    columns = ("routes", "load s", "p50 us", "p99 us", "wall p99 us", "baseline p50 us", "ratio")
    print(" ".join(f"{name:>{max(8, len(name))}}" for name in columns))
    for row in rows:
        ratio = row.p50_us / row.baseline_p50_us
        print(
            f"{row.routes:>8} {row.load_s:>8.2f} {row.p50_us:>8.1f} {row.p99_us:>8.1f} "
            f"{row.wall_p99_us:>11.1f} {row.baseline_p50_us:>15.1f} {ratio:>8.3f}"
        )
    last, growth = rows[-1], rows[-1].p99_us / rows[0].p99_us
    print(f"p99 at {last.routes} routes: {last.p99_us:.1f} us (bar {P99_BAR_US:.0f}), ", end="")
    print(f"{growth:.2f} times that at {rows[0].routes} (bar {RATIO_BAR:.0f}); ", end="")
    print(f"load {last.load_s:.2f} s (bar {LOAD_BAR_S:.0f})")
    print("Hostile patterns, long prompts: time per KiB stays the same when linear")
    for size, took_us in long_prompts():
        print(f"{size // 1024:>6} KiB {took_us:>10.1f} us {took_us / (size / 1024):>8.1f} us/KiB")


if __name__ == "__main__":
    main()
