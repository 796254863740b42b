"""Requests that are divided: arms of an experiment, a share sent to a shadow."""

from routing.types import AssetRequest
from tests.routing.builders import IDLE, busy, decide, engine


class TestExperiments:
    TEXT = """
default:
  name: d
  model: creative_highfidelity
  fallback: [hosted]
  experiment:
    name: e
    arms:
      - {name: control, weight: 80}
      - {name: new, weight: 20, model: fast}
      - {name: unused, weight: 0, model: faster}
"""

    def arms(self, count: int) -> list[str]:
        one = engine(self.TEXT)
        return [
            str(one.decide(AssetRequest("x", sticky_key=f"user-{i}"), IDLE, 0.0).arm) for i in range(count)
        ]

    def test_arms_get_their_share(self):
        arms = self.arms(4000)
        assert 0.17 < arms.count("new") / 4000 < 0.23
        assert arms.count("unused") == 0

    def test_the_same_key_always_meets_the_same_arm(self):
        assert self.arms(50) == self.arms(50)

    def test_an_arm_replaces_the_promise_and_keeps_the_fallbacks(self):
        chains = {
            (d.arm, tuple(p.models for p in d.chain))
            for d in (decide(self.TEXT, sticky_key=str(i)) for i in range(60))
        }
        assert chains == {
            ("control", (("creative_highfidelity",), ("hosted",))),
            ("new", (("fast",), ("hosted",))),
        }

    def test_without_its_key_a_request_is_split_by_its_prompt(self):
        assert decide(self.TEXT, prompt="a").arm == decide(self.TEXT, prompt="a").arm


class TestShadow:
    TEXT = "default: {model: fast, shadow: {model: hosted, share_ratio: 0.25}}"

    def test_a_share_of_requests_is_shadowed(self):
        one = engine(self.TEXT)
        plans = [one.decide(AssetRequest("same"), IDLE, i * 0.013).shadow for i in range(2000)]
        shadowed = [plan for plan in plans if plan is not None]
        assert 0.2 < len(shadowed) / 2000 < 0.3
        assert {plan.models for plan in shadowed} == {("hosted",)}

    def test_a_busy_shadow_is_left_alone(self):
        one = engine(self.TEXT)
        snapshot = busy(hosted=1)
        assert all(one.decide(AssetRequest("x"), snapshot, i * 0.01).shadow is None for i in range(200))
