"""Models and policies that the routing tests share."""

from routing.decide import PolicyEngine
from routing.policy import Policy, load_policy
from routing.types import AssetRequest, Capability, Decision, ModelFacts, ModelState, Snapshot

SEED_POLICY = """\
model_routing:
  - pattern: ".*ui-badge.*"
    model: "typography_focused"
    max_latency_ms: 300
  - pattern: ".*poster.*"
    model: "creative_highfidelity"
    max_latency_ms: 1200
"""

IDLE = Snapshot()
GENERATES = frozenset({Capability.GENERATE, Capability.EDIT})


def facts(name: str, capabilities: frozenset[Capability] = GENERATES, **more: object) -> ModelFacts:
    return ModelFacts(name, capabilities, **more)  # type: ignore[arg-type]


MODELS = {
    model.name: model
    for model in (
        facts(
            "typography_focused",
            frozenset({Capability.GENERATE, Capability.TYPESET}),
            prior_overhead_ms=20,
            vector=True,
        ),
        facts("creative_highfidelity", default_steps=20, prior_overhead_ms=50, prior_step_ms=30),
        facts("fast", default_steps=2, prior_overhead_ms=10, prior_step_ms=20, usd_per_image=0.01),
        facts("faster", default_steps=1, prior_overhead_ms=10, prior_step_ms=20, max_pixels=512 * 512),
        facts("hosted", deterministic=False, prior_overhead_ms=400, usd_per_image=0.04),
        facts("upscale_2x", frozenset({Capability.UPSCALE}), scale=2, prior_overhead_ms=15),
        facts("cleaner", frozenset({Capability.DENOISE}), prior_overhead_ms=5),
    )
}


def policy(text: str) -> Policy:
    return load_policy(text, source="policy.yaml", models=MODELS)


def engine(text: str) -> PolicyEngine:
    return PolicyEngine(policy(text), MODELS)


def decide(text: str, snapshot: Snapshot = IDLE, **request: object) -> Decision:
    return engine(text).decide(AssetRequest(**{"prompt": "", **request}), snapshot, 0.0)  # type: ignore[arg-type]


def busy(**wait_ms: float) -> Snapshot:
    return Snapshot({name: ModelState(wait_ms=wait) for name, wait in wait_ms.items()})
