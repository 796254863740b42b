import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.hosted import ideogram_api, openai_models
from deployments.hosted.sizes import SHAPE_TOLERANCE, AnySize, ListedSizes, SizeRule
from tests.deployments.hosted import ideogram_standin
from tests.deployments.hosted.openai_standin import check_model_rules

SIDES = st.integers(16, 4096)
DALL_E_3 = openai_models.family("dall-e-3")
GPT_IMAGE = openai_models.family("gpt-image-2.6-flare")
GPT_IMAGE_1_5 = openai_models.family("gpt-image-1.5")
assert DALL_E_3 is not None
assert GPT_IMAGE is not None
assert GPT_IMAGE_1_5 is not None


@given(SIDES, SIDES)
@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("dall-e-3", DALL_E_3.sizes),
        ("gpt-image-2.6-flare", GPT_IMAGE.sizes),
        ("gpt-image-1.5", GPT_IMAGE_1_5.sizes),
    ],
)
def test_openai_takes_every_size_that_is_sent(model: str, rule: SizeRule, width: int, height: int) -> None:
    sent = rule.sent(width, height)
    if sent is not None:
        check_model_rules({"model": model, "prompt": "x", "size": sent})
        covers(sent, width, height)


@given(SIDES, SIDES)
def test_ideogram_v3_takes_every_resolution_that_is_sent(width: int, height: int) -> None:
    sent = ideogram_api.V3_RESOLUTIONS.sent(width, height)
    if sent is not None:
        assert sent in ideogram_standin.RESOLUTIONS_V3
        covers(sent, width, height)


def covers(sent: str, width: int, height: int) -> None:
    """No smaller on either side, and of the same shape."""
    sent_width, sent_height = (int(side) for side in sent.split("x"))
    assert sent_width >= width
    assert sent_height >= height
    assert abs(sent_width * height / (sent_height * width) - 1) <= SHAPE_TOLERANCE


def test_all_that_ideogram_publishes_is_known() -> None:
    listed = {f"{width}x{height}" for width, height in ideogram_api.V3_RESOLUTIONS.sizes}
    assert listed == ideogram_standin.RESOLUTIONS_V3
    shapes = {f"ASPECT_{width}_{height}" for width, height in ideogram_api.V1_SHAPES.ratios}
    assert shapes == set(ideogram_standin.RATIOS)


@pytest.mark.parametrize(
    ("width", "height", "sent"),
    [
        (1024, 1024, "1024x1024"),
        (1920, 1088, "1920x1088"),
        (1920, 1080, "1920x1088"),  # the nearest multiple of 16; 0.7% are cut off
        (512, 512, "816x816"),  # the least it makes
        (3840, 2160, "3840x2160"),
        (3840, 2176, None),  # too many pixels
        (3000, 500, None),  # too long
    ],
)
def test_free_sizes(width: int, height: int, sent: str | None) -> None:
    assert GPT_IMAGE is not None
    assert GPT_IMAGE.sizes.sent(width, height) == sent


@pytest.mark.parametrize(
    ("width", "height", "sent"),
    [(640, 1024, "ASPECT_10_16"), (64, 64, "ASPECT_1_1"), (736, 1312, "ASPECT_9_16"), (1100, 1100, None)],
)
def test_shapes_of_ideogram_v1(width: int, height: int, sent: str | None) -> None:
    assert ideogram_api.V1_SHAPES.sent(width, height) == sent


def test_the_smallest_that_covers_is_taken() -> None:
    assert ListedSizes(((1024, 1024), (256, 256), (512, 512))).sent(300, 300) == "512x512"


def test_any_size_may_have_a_bound() -> None:
    assert AnySize().sent(9000, 9000) == "9000x9000"
    assert AnySize(100).sent(10, 10) == "10x10"
    assert AnySize(100).sent(10, 11) is None


@pytest.mark.parametrize("model", ["gpt-image-3", "dall-e-2", "gpt-image-2.7-flare", "gpt-image-20"])
def test_an_unknown_model_has_no_family(model: str) -> None:
    assert openai_models.family(model) is None


def test_a_snapshot_is_of_its_model_s_family() -> None:
    assert openai_models.family("gpt-image-2.5-flare-2026-09-08") == openai_models.family(
        "gpt-image-2.5-flare"
    )
    assert openai_models.family("gpt-image-2-2026-04-21") == openai_models.family("gpt-image-2")
