"""POST /v1/images/generations and the files it answers with."""

import asyncio
import base64
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.telemetry import open_span
from deployments.types import EncodedImage, Encoding, ImageFormat
from routing.types import AssetRequest
from serve import telemetry
from serve.api.streams import stream
from serve.config import Limits
from serve.dispatch import Dispatcher
from serve.errors import ApiError, bad_request
from serve.files import ImageFiles
from serve.jobs import Answer, CacheUse, ImageJob
from serve.schemas import ErrorBody, ImageData, ImageGenerationRequest, ImagesResponse, ImageVariationRequest

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 404, 413, 429, 500, 503, 504)
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What every endpoint that answers with images shares."""

    dispatcher: Dispatcher
    files: ImageFiles
    limits: Limits
    public_base_url: str | None

    def job(self, body: ImageGenerationRequest, request: Request) -> ImageJob:
        """Raises ApiError naming the field that is wrong."""
        state = request.state
        job = job_from(body, self.limits, state.request_id, state.arrived_s, state.tenant)
        return replace(job, cache=CacheUse.of(request.headers.get("cache-control", "")))

    async def answer(
        self, request: Request, body: ImageGenerationRequest, job: ImageJob, events: str
    ) -> Response:
        """Raises ApiError. `events` is what the events of a stream are named after."""
        if body.stream:
            return await stream(self.dispatcher, job, body.quality or "auto", events)
        answer = await self.dispatcher.dispatch(job)
        with open_span(telemetry.tracer, telemetry.SPAN_RESPOND):
            base_url = self.public_base_url or str(request.base_url).rstrip("/")
            response = await images_response(answer, job.encoding, body.response_format, self.files, base_url)
            content = response.model_dump_json(exclude_none=False)
        return Response(content, media_type="application/json", headers=_headers(answer))


def images_router(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["images"])

    @router.post(
        "/v1/images/generations", response_model=ImagesResponse, responses=ERRORS, summary="Create images"
    )
    async def generate(body: ImageGenerationRequest, request: Request) -> Response:
        return await desk.answer(request, body, desk.job(body, request), "image_generation")

    @router.get("/v1/images/files/{name}", response_class=Response, summary="An image answered by URL")
    async def file(name: str) -> Response:
        stored = await asyncio.to_thread(desk.files.get, name, time.time())
        if stored is None:
            raise ApiError(404, "file_not_found", "this image does not exist or has expired")
        headers = {"cache-control": "private, immutable, max-age=3600", "x-content-type-options": "nosniff"}
        return Response(stored.data, media_type=stored.media_type, headers=headers)

    return router


def job_from(
    body: ImageGenerationRequest,
    limits: Limits,
    request_id: str,
    arrived_s: float,
    tenant: str | None = None,
) -> ImageJob:
    """The checked job. Raises ApiError naming the field that is wrong."""
    options = body.atelier
    prompt = _prompt(body, limits)
    n = _count(body.n, limits)
    width, height = _size(body.size, limits)
    seed = options.seed if options.seed is not None else secrets.randbits(32)
    max_latency_ms = options.max_latency_ms
    return ImageJob(
        request_id=request_id,
        arrived_s=arrived_s,
        asset=AssetRequest(
            prompt=prompt,
            asset=options.asset,
            model=body.model or "auto",
            tenant=tenant,
            width=width,
            height=height,
            quality=None if body.quality == "auto" else body.quality,
            n=n,
            steps=options.steps,
            deterministic=bool(options.deterministic),
            labels=options.labels,
            max_latency_ms=max_latency_ms,
            sticky_key=body.safety_identifier or body.user,
            priority=options.priority,
            vector=body.output_format == "svg",
        ),
        seeds=tuple((seed + index) % 2**63 for index in range(n)),
        encoding=_encoding(body),
        guidance_scale=options.guidance_scale,
        negative_prompt=options.negative_prompt or "",
        lora=options.lora,
        strength=options.strength,
        partial_images=_previews(body, n),
        seed_given=options.seed is not None,
        options={} if options.layout is None else {"layout": options.layout},
        metadata=options.metadata,
    )


def _prompt(body: ImageGenerationRequest, limits: Limits) -> str:
    prompt = body.prompt
    if not prompt.strip() and not isinstance(body, ImageVariationRequest):
        raise bad_request("empty_prompt", "prompt is empty: say what the image should show", "prompt")
    if len(prompt) > limits.max_prompt_chars:
        raise bad_request(
            "prompt_too_long",
            f"prompt has {len(prompt)} characters; the limit is {limits.max_prompt_chars}",
            "prompt",
        )
    return prompt


def _count(n: int | None, limits: Limits) -> int:
    if n is None:
        return 1
    if not 1 <= n <= limits.max_n:
        raise bad_request("invalid_n", f"n is {n}; it must be from 1 to {limits.max_n}", "n")
    return n


def _previews(body: ImageGenerationRequest, n: int) -> int:
    if not body.stream:
        if body.partial_images:
            raise bad_request("invalid_parameter", "partial_images needs stream: true", "partial_images")
        return 0
    if n != 1:
        raise bad_request("invalid_n", f"n is {n}; a stream is of one image", "n")
    if body.response_format == "url":
        raise bad_request("invalid_parameter", "a stream sends b64_json, not url", "response_format")
    return body.partial_images or 0


def _size(size: str | None, limits: Limits) -> tuple[int | None, int | None]:
    if size is None or size == "auto":
        return None, None
    match = _SIZE.fullmatch(size)
    if match is None:
        raise bad_request("invalid_size", f"size is {size[:32]!r}; write WIDTHxHEIGHT, as in 512x512", "size")
    width, height = int(match[1]), int(match[2])
    for side in (width, height):
        if not limits.min_side <= side <= limits.max_side:
            raise bad_request(
                "invalid_size",
                f"size is {size!r}; each side must be from {limits.min_side} to {limits.max_side} pixels",
                "size",
            )
    return width, height


def _encoding(body: ImageGenerationRequest) -> Encoding:
    image_format = ImageFormat(body.output_format or "png")
    transparent = body.background == "transparent"
    if transparent and image_format is ImageFormat.JPEG:
        raise bad_request(
            "invalid_background", "jpeg has no transparency: ask for output_format png or webp", "background"
        )
    quality = 90 if body.output_compression is None else body.output_compression
    return Encoding(image_format, quality, transparent)


async def images_response(
    answer: Answer,
    encoding: Encoding,
    response_format: str | None,
    files: ImageFiles,
    base_url: str,
    ttl_s: float | None = None,
) -> ImagesResponse:
    """The answer as OpenAI's body. "url" stores the images, for `ttl_s` or as long as `files` says."""
    if response_format == "url":
        data = [await _stored(image, files, base_url, ttl_s) for image in answer.images]
    else:
        data = [ImageData(b64_json=base64.b64encode(image.data).decode("ascii")) for image in answer.images]
    first = answer.images[0]
    return ImagesResponse(
        created=int(time.time()),
        data=data,
        background="transparent" if encoding.transparent else "opaque",
        output_format=first.format.value,
        size=f"{first.width}x{first.height}",
        atelier=answer.receipt,
    )


def _headers(answer: Answer) -> dict[str, str]:
    receipt = answer.receipt
    return {
        "x-atelier-policy-version": receipt.policy_version,
        "x-atelier-route": receipt.route,
        "x-atelier-model": receipt.model,
        "x-atelier-generated": str(all(image.generated for image in receipt.images)).lower(),
    }


async def _stored(image: EncodedImage, files: ImageFiles, base_url: str, ttl_s: float | None) -> ImageData:
    name = await asyncio.to_thread(files.put, image, time.time(), ttl_s)
    return ImageData(url=f"{base_url}/v1/images/files/{name}")
