import base64

import numpy as np
import pytest

from loadtests.images import ImageChecker, ImageChecks
from loadtests.observation import Answer, Observation
from loadtests.workload import Shot, calls
from tests.loadtests.server import png


def seen(*images: bytes, answer=None, **shot):
    call = next(iter(calls(np.zeros(1), [Shot("badge", ["x"], **shot)])))
    texts = tuple(base64.b64encode(image).decode() for image in images)
    return Observation(call, answer or Answer("ok", images=texts, model="m"), 0, 1)


def check(*observations):
    checks = ImageChecks()
    for each in observations:
        checks.check(each)
    return checks


def test_a_valid_image_of_the_right_size_passes():
    assert check(seen(png(8, 6), size="8x6"), seen(png(3, 3), size="auto"), seen(png())).invalid == 0


def test_the_wrong_size_is_told():
    assert check(seen(png(8, 6), size="6x8")).wrong_size == 1


@pytest.mark.parametrize("data", [b"", b"not an image", png()[:-28], png()[:30]])
def test_what_does_not_decode_is_told(data):
    assert check(seen(data)).undecodable == 1


def test_text_that_is_not_base64_is_undecodable():
    assert check(seen(answer=Answer("ok", images=("***",)))).undecodable == 1


def test_equal_seeds_must_give_equal_pixels():
    assert check(seen(png(), seeds=[1]), seen(png(), seeds=[1])).unequal == 0
    assert check(seen(png(shade=1), seeds=[1]), seen(png(shade=2), seeds=[1])).unequal == 1


def test_other_seeds_other_models_and_substitutes_promise_nothing():
    assert check(seen(png(shade=1), seeds=[1]), seen(png(shade=2), seeds=[2])).unequal == 0
    assert check(seen(png(shade=1)), seen(png(shade=2))).unequal == 0
    images = (base64.b64encode(png(shade=3)).decode(),)
    for other in (
        Answer("ok", images=images, model="other"),
        Answer("ok", images=images, model="m", substituted=True),
        Answer("ok", images=images, model="m", rung=1),
    ):
        assert check(seen(png(shade=1), seeds=[1]), seen(answer=other, seeds=[1])).unequal == 0


def test_processes_that_saw_different_pixels_disagree_when_added_up():
    first, second = check(seen(png(shade=1), seeds=[1])), check(seen(png(shade=2), seeds=[1]))
    first.add(second)
    assert (first.checked, first.unequal) == (2, 1)


@pytest.mark.parametrize(("ratio", "checked"), [(0, 0), (0.25, 2), (1, 8)])
def test_a_share_of_the_answers_is_checked(ratio, checked):
    with ImageChecker(ratio) as checker:
        for _ in range(8):
            checker.offer(seen(png()))
        checker.offer(seen(answer=Answer("timeout")))
        checker.offer(seen(b"<svg/>", output_format="svg"))
    assert checker.checks.checked == checked
