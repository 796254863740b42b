import pytest

from deployments.types import EncodedImage, ImageFormat, StageReceipt
from routing.types import Capability, Decision, Outcome, Plan, PlannedStage
from serve.receipts import Failure, ImageOutcome, receipt

IMAGE = EncodedImage(b"", ImageFormat.PNG, 8, 8)


def plan(*models: str, rung: int = 0) -> Plan:
    return Plan(tuple(PlannedStage(m, Capability.GENERATE, 8, 8, None, 40.00049) for m in models), rung)


def stage(model: str, queue_ms: float = 0.0, run_ms: float = 0.0, **fields: float | str) -> StageReceipt:
    return StageReceipt(model, "rev", 8, 8, queue_ms, run_ms, **fields)  # type: ignore[arg-type]


FIRST, SECOND, CHEAPER = plan("a", "b"), plan("c"), plan("a", "b", rung=1)
DECISION = Decision("v1", "posters", "it matched", 500.0, (FIRST, CHEAPER, SECOND))


def outcome(of: Plan | None, *stages: StageReceipt, failures: tuple[Failure, ...] = ()) -> ImageOutcome:
    return ImageOutcome(IMAGE, 7, of, stages, failures, of is FIRST)


def test_times_are_of_the_slowest_image_and_costs_of_all() -> None:
    fast = outcome(FIRST, stage("a", 1, 10, gpu_s=1.0), stage("b", 2, 20, cost_usd=0.25))
    slow = outcome(FIRST, stage("a", 5.00049, 40, gpu_s=2.0), stage("b", 1, 0, cost_usd=0.5))
    made = receipt("r1", DECISION, [fast, slow], 66.12345)
    assert (made.queue_ms, made.run_ms, made.total_ms) == (6.0, 40.0, 66.123)
    assert (made.gpu_s, made.cost_usd) == (3.0, 0.75)
    assert made.predicted_ms == 80.001
    assert (made.model, made.route, made.policy_version, made.budget_ms) == ("a+b", "posters", "v1", 500.0)
    assert made.trace_id is None


@pytest.mark.parametrize(
    ("answered", "substituted"), [(FIRST, False), (CHEAPER, True), (SECOND, True), (None, True)]
)
def test_anything_but_what_the_route_promises_first_is_a_substitution(
    answered: Plan | None, substituted: bool
) -> None:
    made = receipt("r1", DECISION, [outcome(FIRST, stage("a")), outcome(answered)], 1.0)
    assert made.substituted is substituted
    assert [image.substituted for image in made.images] == [False, substituted]


def test_a_first_candidate_on_a_lower_rung_is_a_substitution() -> None:
    downgraded = Decision("v1", "posters", "busy", None, (CHEAPER,))
    made = receipt("r1", downgraded, [outcome(CHEAPER, stage("a"))], 1.0)
    assert made.substituted
    assert made.images[0].rung == 1


def test_the_hash_is_of_the_last_stage_s_pixels() -> None:
    stages = stage("a", pixels_sha256="before"), stage("b", pixels_sha256="after")
    made = receipt("r1", DECISION, [outcome(FIRST, *stages)], 1.0)
    assert made.images[0].pixels_sha256 == "after"
    assert [each.pixels_sha256 for each in made.images[0].stages] == ["before", "after"]


def test_a_baked_asset_is_not_called_generated_and_needs_no_chain() -> None:
    raster_only = Decision("v1", "posters", "all are down", None, (), raster="sale.png")
    failure = Failure(SECOND, Outcome.OUT_OF_MEMORY, "no memory", 12.34567)
    made = receipt("r1", raster_only, [outcome(None, failures=(failure,))], 1.0)
    image = made.images[0]
    assert (image.generated, image.model, image.stages, image.pixels_sha256) == (False, "raster", [], None)
    assert (made.queue_ms, made.run_ms, made.predicted_ms) == (0.0, 0.0, 0.0)
    [substitution] = image.substitutions
    assert (substitution.models, substitution.outcome) == (["c"], "out_of_memory")
    assert (substitution.reason, substitution.spent_ms) == ("no memory", 12.346)
