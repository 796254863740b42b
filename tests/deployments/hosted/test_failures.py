import time
from email.utils import formatdate
from typing import Any

import pytest

from deployments import errors
from deployments.hosted.failures import MAX_RETRY_AFTER_S, Refusal, meaning, refusal_of, retry_after_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "99999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 01 Jan 99999 00:00:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_retry_after_as_a_date() -> None:
    later = formatdate(time.time() + 100, usegmt=True)
    assert retry_after_s({"retry-after": later}) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refusal(400, code="content_policy_violation"), errors.ContentRefused),
        (Refusal(400, code="moderation_blocked"), errors.ContentRefused),
        (Refusal(400, code="content_refused"), errors.ContentRefused),  # another Atelier
        (Refusal(429), errors.CapacityRefused),
        (Refusal(429, code="insufficient_quota"), errors.ModelFailed),
        (Refusal(402), errors.ModelFailed),
        (Refusal(401), errors.ModelFailed),
        (Refusal(403), errors.ModelFailed),
        (Refusal(404, code="model_not_found"), errors.ModelGone),
        (Refusal(404, kind="NotFoundError"), errors.ModelGone),  # vLLM
        (Refusal(410), errors.ModelGone),
        (Refusal(404), errors.ModelFailed),  # base_url is wrong
        (Refusal(400), errors.Unsupported),
        (Refusal(422), errors.Unsupported),
        (Refusal(500), errors.ModelFailed),
        (Refusal(503), errors.ModelFailed),
        (Refusal(302), errors.ModelFailed),
    ],
)
def test_what_a_refusal_means(refusal: Refusal, kind: type[errors.RenderError]) -> None:
    assert type(meaning("P", "m", refusal)) is kind


def test_a_retired_model_says_when() -> None:
    gone = meaning("OpenAI", "dall-e-3", Refusal(404, code="model_not_found"), "2026-05-12")
    assert str(gone) == "OpenAI shut dall-e-3 down on 2026-05-12"


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        [],
        {"error": "a sentence"},
        {"error": {"code": 400, "param": None}},
        {"error": {"code": "sk-live-123 is wrong", "param": "x" * 100, "type": {"a": 1}}},
        {"detail": "Invalid size format"},
    ],
)
def test_what_is_no_code_is_not_passed_on(body: Any) -> None:
    refusal = refusal_of(400, body, {})
    assert (refusal.code, refusal.param, refusal.kind) == (None, None, None)
    assert meaning("P", "m", refusal).message == "P refused the request as invalid"


def test_what_is_a_code_is() -> None:
    body = {"error": {"code": "invalid_value", "param": "size", "message": "no"}}
    refused = meaning("P", "m", refusal_of(400, body, {}))
    assert isinstance(refused, errors.Unsupported)
    assert (refused.message, refused.param) == (
        "P refused the request as invalid (invalid_value, size)",
        "size",
    )
