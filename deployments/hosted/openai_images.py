"""OpenAI's Images API through the official client: OpenAI itself, and servers that speak it too."""

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2
import openai
from openai.types import ImagesResponse

from deployments import errors
from deployments.hosted import http, mapping
from deployments.hosted.failures import broken_off, meaning, refusal_of
from deployments.hosted.openai_models import RETIRED
from deployments.hosted.provider import Answer, Send
from deployments.hosted.spec import OpenAICompatibleSpec, OpenAIImagesSpec
from deployments.types import RenderRequest

NO_KEY = "none"
"""Sent where the spec names no key: the client wants one, and servers without keys do not look."""

_EXTENSIONS = frozenset({mapping.STEPS, mapping.GUIDANCE, mapping.NEGATIVE_PROMPT})
_KNOWN = {
    "openai": frozenset[str](),
    "vllm_omni": _EXTENSIONS,
    "sglang": _EXTENSIONS,
    "atelier": _EXTENSIONS | {mapping.TRANSPARENCY, mapping.STRENGTH, mapping.LORA},
}

Parameters = dict[str, Any]


class OpenAICalls:
    """The client, and what is said of its failures. `provider` names it for people."""

    def __init__(
        self,
        spec: OpenAIImagesSpec | OpenAICompatibleSpec,
        provider: str,
        organization: str | None = "",
        project: str | None = "",
        retired_on: str | None = None,
    ) -> None:
        """An organization or project of None is what OpenAI's own environment variables say."""
        self._spec = spec
        self._provider = provider
        self._retired_on = retired_on
        base64_bytes = spec.max_result_bytes * 4 // 3
        self._http = http.bounded_client(base64_bytes + 64 * 1024, spec.max_ongoing_requests)
        self._client = openai.AsyncOpenAI(
            api_key=self._key,
            base_url=spec.base_url,
            organization=organization,
            project=project,
            max_retries=0,
            http_client=self._http,
        )

    async def _key(self) -> str:
        return NO_KEY if self._spec.api_key is None else self._spec.api_key.read()

    async def generate(self, parameters: Parameters, timeout_s: float) -> Answer:
        return await self._call(self._client.images.generate, parameters, timeout_s)

    async def edit(self, parameters: Parameters, timeout_s: float) -> Answer:
        return await self._call(self._client.images.edit, parameters, timeout_s)

    async def _call(self, call: Any, parameters: Parameters, timeout_s: float) -> Answer:
        try:
            response = await call(**parameters, timeout=http.timeout(timeout_s))
        except openai.APIStatusError as error:
            refusal = refusal_of(error.status_code, error.body, error.response.headers)
            raise meaning(self._provider, self._spec.model, refusal, self._retired_on) from None
        except openai.APIConnectionError as error:
            return Answer(failure=broken_off(self._provider, error.__cause__ or error))
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, RecursionError):
            return Answer(failure=self._unreadable())
        return self._answer(response)

    def _answer(self, response: ImagesResponse) -> Answer:
        entries = getattr(response, "data", None)
        entry = entries[0] if isinstance(entries, list) and entries else None
        request_id = getattr(response, "_request_id", None)
        details: dict[str, Any] = {} if request_id is None else {"provider_request_id": request_id}
        revised = getattr(entry, "revised_prompt", None)
        if isinstance(revised, str):
            details["revised_prompt"] = revised[: mapping.MAX_PROMPT_CHARS]
        content, url = getattr(entry, "b64_json", None), getattr(entry, "url", None)
        if isinstance(content, str):
            try:
                return Answer(data=base64.b64decode(content, validate=True), details=details)
            except binascii.Error:
                return Answer(failure=self._unreadable())
        if isinstance(url, str):
            return Answer(url=url, details=details)
        return Answer(failure=self._unreadable())

    def _unreadable(self) -> errors.ModelFailed:
        return errors.ModelFailed(f"{self._provider} answered without an image")

    async def close(self) -> None:
        await self._client.close()


class OpenAIImages:
    """DALL·E 3 and the GPT image models."""

    name = "OpenAI"

    def __init__(self, spec: OpenAIImagesSpec) -> None:
        self._spec = spec
        retired_on = RETIRED.get(spec.model)
        self._calls = OpenAICalls(spec, self.name, spec.organization, spec.project, retired_on)

    @property
    def revision(self) -> str:
        settings = [self._spec.model, self._spec.quality, self._spec.style]
        return "openai:" + ":".join(each for each in settings if each is not None)

    def prepare(self, request: RenderRequest) -> Send:
        family = self._spec.family
        known = frozenset({mapping.TRANSPARENCY}) if family.has_background else frozenset()
        mapping.refuse_unknown(request, self._model, known)
        parameters: Parameters = {
            "model": self._spec.model,
            "prompt": mapping.checked_prompt(request, self._model, family.max_prompt_chars),
            "n": 1,
            "size": mapping.sent_size(request, self._spec, self._model),
            **_given(quality=self._spec.quality, style=self._spec.style),
        }
        if family.has_response_format:
            parameters["response_format"] = "b64_json"
        if family.has_background:
            transparent = request.encoding is not None and request.encoding.transparent
            parameters |= {
                "background": "transparent" if transparent else "opaque",
                "output_format": "png",
            }
        if request.image is None:
            return partial(self._calls.generate, parameters | _given(moderation=self._spec.moderation))
        if not family.edits:
            raise errors.Unsupported(f"{self._model} cannot edit images", "image")
        return partial(self._calls.edit, parameters | _pictures(request))

    @property
    def _model(self) -> str:
        return self._spec.model

    async def close(self) -> None:
        await self._calls.close()


class OpenAICompatible:
    """Another server. The dialect says where it takes what OpenAI's API has no field for."""

    def __init__(self, name: str, spec: OpenAICompatibleSpec) -> None:
        self.name = f"the server of {name}"
        self._spec = spec
        self._calls = OpenAICalls(spec, self.name)

    @property
    def revision(self) -> str:
        return f"{self._spec.dialect}:{self._spec.model}"

    def prepare(self, request: RenderRequest) -> Send:
        dialect = self._spec.dialect
        mapping.refuse_unknown(request, self.name, _KNOWN[dialect])
        parameters: Parameters = {
            "model": self._spec.model,
            "prompt": request.prompt,
            "n": 1,
            "size": mapping.sent_size(request, self._spec, self.name),
            "response_format": "b64_json",
        }
        if request.encoding is not None and request.encoding.transparent:
            parameters["background"] = "transparent"
        if request.image is not None:
            if not self._spec.can_edit:
                raise errors.Unsupported(f"{self.name} cannot edit images", "image")
            parameters |= _pictures(request)
        return partial(self._send, request, parameters)

    async def _send(self, request: RenderRequest, parameters: Parameters, timeout_s: float) -> Answer:
        extra = {**self._spec.parameters, **_extensions(request, self._spec.dialect, timeout_s)}
        call = self._calls.generate if request.image is None else self._calls.edit
        answer = await call({**parameters, "extra_body": extra}, timeout_s)
        if self._spec.dialect == "openai":
            return answer
        return Answer(answer.data, answer.url, answer.failure, request.seed, answer.details)

    async def close(self) -> None:
        await self._calls.close()


def _extensions(request: RenderRequest, dialect: str, timeout_s: float) -> Mapping[str, Any]:
    common = _given(guidance_scale=request.guidance_scale, negative_prompt=request.negative_prompt or None)
    if dialect == "openai":
        return {}
    if dialect == "atelier":
        options = {
            "seed": request.seed,
            "max_latency_ms": timeout_s * 1000,
            "priority": request.priority.value,
        }
        if request.deterministic:
            options["deterministic"] = True
        own = _given(steps=request.steps, strength=request.strength, lora=request.lora)
        return {"atelier": {**options, **common, **own}}
    return {"seed": request.seed, **common, **_given(num_inference_steps=request.steps)}


def _pictures(request: RenderRequest) -> Parameters:
    assert request.image is not None
    mask = mapping.checked_mask(request)
    files: Parameters = {"image": ("image.png", mapping.png(request.image), "image/png")}
    if mask is not None:
        files["mask"] = ("mask.png", mapping.transparent_where(mask), "image/png")
    return files


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
