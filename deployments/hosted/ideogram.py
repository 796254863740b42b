"""Ideogram: the legacy endpoint for V_1 and V_1_TURBO; generate, remix and edit of 3.0."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2

from deployments import errors
from deployments.hosted import http, mapping
from deployments.hosted.failures import broken_off, meaning, refusal_of
from deployments.hosted.ideogram_api import MAX_SEED, MAX_UPLOAD_BYTES
from deployments.hosted.provider import Answer, Send
from deployments.hosted.spec import IdeogramSpec
from deployments.types import RenderRequest

_V3 = "/v1/ideogram-v3"
_MAX_ANSWER_BYTES = 1024 * 1024
"""Answers hold links, not images."""

Part = tuple[str, tuple[str | None, bytes | str] | tuple[str, bytes, str]]


class Ideogram:
    """Implements `Provider`."""

    name = "Ideogram"

    def __init__(self, spec: IdeogramSpec) -> None:
        self._spec = spec
        self._client = http.bounded_client(_MAX_ANSWER_BYTES, spec.max_ongoing_requests)

    @property
    def revision(self) -> str:
        settings = [self._spec.model, self._spec.rendering_speed, self._spec.style_type]
        return "ideogram:" + ":".join(each for each in settings if each is not None)

    def prepare(self, request: RenderRequest) -> Send:
        mask = mapping.checked_mask(request)
        mapping.refuse_unknown(request, self.name, _known(request))
        if request.image is not None and not self._spec.edits:
            raise errors.Unsupported(f"{self._spec.model} of {self.name} cannot edit images", "image")
        if self._spec.model != "V_3":
            return partial(
                self._send, "/generate", request, {"json": {"image_request": self._legacy(request)}}
            )
        if request.image is None:
            fields = {**self._v3(request), "resolution": self._size(request)}
            return partial(self._send, f"{_V3}/generate", request, {"files": _parts(fields)})
        image = _upload("image", mapping.png(request.image))
        if mask is None:
            fields = {**self._v3(request), "resolution": self._size(request), **_image_weight(request)}
            return partial(self._send, f"{_V3}/remix", request, {"files": [*_parts(fields), image]})
        masked = _upload("mask", mapping.black_where(mask))
        return partial(
            self._send, f"{_V3}/edit", request, {"files": [*_parts(self._v3(request)), image, masked]}
        )

    def _size(self, request: RenderRequest) -> str:
        return mapping.sent_size(request, self._spec, f"{self.name}'s {self._spec.model}")

    def _legacy(self, request: RenderRequest) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "prompt": request.prompt,
            "model": self._spec.model,
            "aspect_ratio": self._size(request),
            "magic_prompt_option": self._spec.magic_prompt,
            "seed": provider_seed(request.seed),
            "num_images": 1,
        }
        return fields | ({"negative_prompt": request.negative_prompt} if request.negative_prompt else {})

    def _v3(self, request: RenderRequest) -> dict[str, Any]:
        """The fields that generate, remix and edit share."""
        fields = {
            "prompt": request.prompt,
            "seed": provider_seed(request.seed),
            "num_images": 1,
            "magic_prompt": self._spec.magic_prompt,
            "rendering_speed": self._spec.rendering_speed,
            "style_type": self._spec.style_type,
            "style_preset": self._spec.style_preset,
            "negative_prompt": request.negative_prompt or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    async def _send(
        self, path: str, request: RenderRequest, body: Mapping[str, Any], timeout_s: float
    ) -> Answer:
        try:
            response = await self._client.post(
                self._spec.base_url + path,
                headers={"api-key": self._spec.api_key.read()},
                timeout=http.timeout(timeout_s),
                **body,
            )
        except httpx2.HTTPError as error:
            return Answer(failure=broken_off(self.name, error))
        if response.is_success:
            return self._answer(_json(response), request)
        raise self._refused(response)

    def _refused(self, response: httpx2.Response) -> errors.RenderError:
        """422 is how Ideogram says that a prompt or a picture failed its safety check."""
        if response.status_code == 422:
            return errors.ContentRefused(f"the content policy of {self.name} refused this")
        refusal = refusal_of(response.status_code, _json(response), response.headers)
        return meaning(self.name, self._spec.model, refusal)

    def _answer(self, body: object, request: RenderRequest) -> Answer:
        entries = body.get("data") if isinstance(body, dict) else None
        entry = entries[0] if isinstance(entries, list) and entries else None
        if not isinstance(entry, dict):
            return Answer(failure=errors.ModelFailed(f"{self.name} answered without an image"))
        if entry.get("is_image_safe") is False:
            refused = errors.ContentRefused(f"the content policy of {self.name} refused the image it made")
            return Answer(failure=refused)
        url = entry.get("url")
        if not isinstance(url, str):
            return Answer(failure=errors.ModelFailed(f"{self.name} answered without an image"))
        seed = entry.get("seed")
        return Answer(
            url=url,
            seed=seed if isinstance(seed, int) else provider_seed(request.seed),
            details=_details(entry, request.prompt),
        )

    async def close(self) -> None:
        await self._client.aclose()


def provider_seed(seed: int) -> int:
    """Ours have 63 bits, Ideogram's 31."""
    return seed % (MAX_SEED + 1)


def _known(request: RenderRequest) -> frozenset[str]:
    """Edit takes no negative prompt; only remix says how much of an image may change."""
    if request.image is None:
        return frozenset({mapping.NEGATIVE_PROMPT})
    if request.mask is None:
        return frozenset({mapping.NEGATIVE_PROMPT, mapping.STRENGTH})
    return frozenset()


def _image_weight(request: RenderRequest) -> dict[str, int]:
    """Ideogram says how much the image counts, we how much of it may change. Unsaid: Ideogram's default."""
    if request.strength is None:
        return {}
    return {"image_weight": min(100, max(1, round(100 * (1 - request.strength))))}


def _details(entry: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    details = {}
    if isinstance(entry.get("resolution"), str):
        details["provider_size"] = entry["resolution"]
    if isinstance(entry.get("prompt"), str) and entry["prompt"] != prompt:
        details["revised_prompt"] = entry["prompt"][: mapping.MAX_PROMPT_CHARS]
    return details


def _parts(fields: Mapping[str, Any]) -> list[Part]:
    """Plain form fields of a multipart body."""
    return [(name, (None, str(value))) for name, value in fields.items()]


def _upload(name: str, data: bytes) -> Part:
    if len(data) > MAX_UPLOAD_BYTES:
        raise errors.Unsupported(f"Ideogram takes pictures of up to {MAX_UPLOAD_BYTES} bytes", name)
    return name, (f"{name}.png", data, "image/png")


def _json(response: httpx2.Response) -> object:
    try:
        return response.json()
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return None
