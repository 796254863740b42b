"""What a provider's error means for the request: from HTTP statuses and codes to the error tree.

Texts of providers are not passed on: they quote prompts, and keys in part. Codes are, when they look like
codes.
"""

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from deployments.errors import (
    CapacityRefused,
    ContentRefused,
    ModelFailed,
    ModelGone,
    RenderError,
    Unsupported,
)
from deployments.hosted.http import TooLarge
from deployments.hosted.provider import TimedOut

_NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_GONE = frozenset({"model_not_found", "model_deprecated", "model_gone"})
_CONTENT = frozenset({"content_policy_violation", "moderation_blocked", "content_filter", "content_refused"})
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,63}")
MAX_RETRY_AFTER_S = 3600.0


class Unreachable(ModelFailed):
    """No connection came about, so nothing was asked for and nothing is billed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer. `code`, `kind` and `param` are the provider's `code`, `type` and `param`."""

    status: int
    code: str | None = None
    kind: str | None = None
    param: str | None = None
    retry_after_s: float | None = None


def meaning(provider: str, model: str, refusal: Refusal, retired_on: str | None = None) -> RenderError:
    """`provider` and `model` are names for the message, `retired_on` a date where one is known."""
    status, code = refusal.status, refusal.code
    if code in _CONTENT:
        return ContentRefused(f"the content policy of {provider} refused this")
    if status == 402 or code in _NO_CREDIT:
        return ModelFailed(f"the account at {provider} has no credit left")
    if status == 410 or code in _GONE or (status == 404 and refusal.kind == "NotFoundError"):
        if retired_on is not None:
            return ModelGone(f"{provider} shut {model} down on {retired_on}")
        return ModelGone(f"{provider} does not offer {model}: it was retired, or never was there")
    if status == 429:
        return CapacityRefused(f"{provider} limits the rate of this account", refusal.retry_after_s)
    if status in (401, 403):
        return ModelFailed(f"{provider} did not accept the API key for {model} ({status})")
    if status in (400, 409, 413, 415, 422):
        return Unsupported(f"{provider} refused the request as invalid{_named(refusal)}", refusal.param)
    return ModelFailed(f"{provider} answered with {status}")


def _named(refusal: Refusal) -> str:
    said = [each for each in (refusal.code, refusal.param) if each is not None]
    return f" ({', '.join(said)})" if said else ""


def refusal_of(status: int, body: object, headers: Mapping[str, str]) -> Refusal:
    """Reads OpenAI's error body, with or without its outer `error`."""
    details = body.get("error", body) if isinstance(body, Mapping) else None
    found = details if isinstance(details, Mapping) else {}
    return Refusal(
        status=status,
        code=_identifier(found.get("code")),
        kind=_identifier(found.get("type")),
        param=_identifier(found.get("param")),
        retry_after_s=retry_after_s(headers),
    )


def broken_off(provider: str, error: BaseException) -> ModelFailed:
    """What an error of the HTTP client means after which nobody knows whether the provider worked.

    Raises Unreachable when nothing was sent, TimedOut when the time was up.
    """
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        raise Unreachable(f"{provider} cannot be reached") from None
    if isinstance(error, httpx2.TimeoutException):
        raise TimedOut from None
    if isinstance(error, TooLarge):
        return ModelFailed(f"{provider} sent too large an answer")
    return ModelFailed(f"the connection to {provider} was lost")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from now; None when the header is absent or makes no sense."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value is not None:
        seconds = _seconds_until(value)
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER_S)


def _seconds_until(date: str) -> float | None:
    """None for what is no date, or one that Python cannot count to."""
    parsed = email.utils.parsedate_tz(date)
    if parsed is None:
        return None
    try:
        return max(0.0, email.utils.mktime_tz(parsed) - time.time())
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    if value is None or re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value.strip()) is None:
        return None
    return float(value)


def _identifier(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None
