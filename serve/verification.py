"""Renders the images of a receipt again, by a server or in this process, and compares their pixels.

A receipt holds neither prompt nor pictures: what is asked again is built from the request that the caller
kept and from what the receipt says was done (seed, size, steps, guidance, strength, adapter). Compares stage
by stage.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, ValidationError

from deployments import errors
from deployments.catalog import build_model
from deployments.model import Model
from deployments.provenance import files
from deployments.provenance.mark import Unreadable
from deployments.spec import BaseSpec
from deployments.types import EncodedImage, Pixels, RenderRequest, StageReceipt
from deployments.typesetter.prompt import strip_text
from deployments.typesetter.spec import TypesetterSpec
from deployments.uploads import decode_pair
from deployments.verify import Verdict, compare, made_of_other_inputs
from serve.api.images import job_from
from serve.config import AppConfig
from serve.errors import ApiError
from serve.jobs import ImageJob
from serve.kept import Image, Part, Stage
from serve.schemas import (
    AtelierOptions,
    ImageEditRequest,
    ImageGenerationRequest,
    ImageVariationRequest,
)


class Unverifiable(Exception):
    """Nothing can be said of the pixels. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files that came with the request, as they were sent."""

    image: bytes | None = None
    mask: bytes | None = None


class Kept(Part):
    images: Annotated[list[Image], Field(min_length=1)]


class _Answer(Part):
    atelier: Kept


class _Reason(Part):
    message: str


class _Refusal(Part):
    error: _Reason


class _Prompt(Part):
    """Of a request, whatever else is wrong with it."""

    prompt: Any = None


def read_receipt(data: bytes) -> Kept:
    """A receipt, the whole answer that holds one under `atelier`, or a picture with one in its file. Raises
    Unverifiable."""
    text = _embedded(data) or data
    for model in (_Answer, Kept):
        try:
            read = model.model_validate_json(text)
        except ValidationError:
            continue
        return read.atelier if isinstance(read, _Answer) else read
    raise Unverifiable(
        "this is no receipt: give the answer's JSON, the `atelier` object in it, or a picture with a receipt"
    )


def _embedded(data: bytes) -> bytes | None:
    try:
        receipt = files.read(data).receipt
    except Unreadable:
        return None
    return None if receipt is None else receipt.encode()


def read_request(text: bytes, pictures: Pictures) -> ImageGenerationRequest:
    """The body that was sent, or the form's fields as JSON if pictures came with it. Raises Unverifiable."""
    kind = _kind(pictures, has_prompt=_has_prompt(text))
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise Unverifiable(f"the request is not one of POST {_path(kind)}: {problems}") from None


def _has_prompt(text: bytes) -> bool:
    """Whether the document itself has that key; a broken one is refused when it is read as a request."""
    try:
        return "prompt" in _Prompt.model_validate_json(text).model_fields_set
    except ValidationError:
        return False


def request_of(prompt: str | None, pictures: Pictures) -> ImageGenerationRequest:
    """A request that said no more than that; a picture without a prompt asked for a variation."""
    return _kind(pictures, has_prompt=prompt is not None)(prompt=prompt or "")


def _kind(pictures: Pictures, has_prompt: bool) -> type[ImageGenerationRequest]:
    if pictures.image is None:
        return ImageGenerationRequest
    return ImageEditRequest if has_prompt or pictures.mask is not None else ImageVariationRequest


def _path(kind: type[ImageGenerationRequest]) -> str:
    paths = {ImageEditRequest: "edits", ImageVariationRequest: "variations"}
    return f"/v1/images/{paths.get(kind, 'generations')}"


def request_again(body: ImageGenerationRequest, image: Image) -> ImageGenerationRequest:
    """What asks for `image` alone once more, with what the receipt says was done where it says so.

    An image that several models made in turn is left to the policy, which must still decide as it did.
    """
    if not image.generated or not image.stages:
        raise Unverifiable("a baked asset answered: nothing was generated")
    first = image.stages[0]
    options = body.atelier.model_dump()
    options |= {"seed": image.seed, "max_latency_ms": None, "steps": first.steps or body.atelier.steps}
    options |= {"deterministic": bool(first.details.get("deterministic"))}
    for name in ("guidance_scale", "lora", "strength"):
        options[name] = first.details.get(name, options[name])
    changes: dict[str, Any] = {"n": 1, "response_format": "b64_json", "stream": None, "partial_images": None}
    if len(image.stages) == 1:
        changes |= {"model": first.model, "size": f"{first.width}x{first.height}", "quality": None}
    return body.model_copy(update={**changes, "atelier": AtelierOptions(**options)})


class Renderer(Protocol):
    """Makes the image of a request again and returns the receipts of its stages. Raises Unverifiable."""

    async def __call__(self, request: ImageGenerationRequest, image: Image) -> list[StageReceipt]: ...


@asynccontextmanager
async def by_server(
    url: str, api_key: str | None, timeout_s: float, pictures: Pictures
) -> AsyncIterator[Renderer]:
    """The server at `url` renders; it neither takes an image from its cache nor keeps one."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise Unverifiable(f"{url} is not a server's address, as in http://127.0.0.1:8000")
    headers = {"cache-control": "no-store"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session:

        async def render(request: ImageGenerationRequest, image: Image) -> list[StageReceipt]:
            _check_pictures(image, pictures)
            fields = request.model_dump(mode="json", exclude_defaults=True)
            body = {"json": fields} if pictures.image is None else {"data": _form(fields, pictures)}
            endpoint = url.rstrip("/") + _path(type(request))
            try:
                # The key is for this server alone.
                posted = session.post(endpoint, headers=headers, allow_redirects=False, **body)
                async with posted as response:
                    answer = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Unverifiable(f"{url} does not answer ({type(error).__name__})") from None
            if response.status != 200:
                raise Unverifiable(f"the server answered {response.status}: {_reason(answer)}")
            return [stage.receipt() for stage in read_receipt(answer).images[0].stages]

        yield render


@asynccontextmanager
async def in_this_process(config: AppConfig, pictures: Pictures) -> AsyncIterator[Renderer]:
    """The models of `config` render here; each is loaded when the first image needs it."""
    loaded: dict[str, Model] = {}

    async def model(name: str) -> Model:
        if name not in loaded:
            made = build_model(name, config.models[name])
            await made.load()
            loaded[name] = made
        return loaded[name]

    async def render(request: ImageGenerationRequest, image: Image) -> list[StageReceipt]:
        unknown = {stage.model for stage in image.stages} - set(config.models)
        if unknown:
            known = ", ".join(sorted(config.models))
            raise Unverifiable(f"the config has no model {', '.join(sorted(unknown))}; it has {known}")
        _check_pictures(image, pictures)
        try:
            job = job_from(request, config.limits, "verify", time.monotonic())
            picture, mask = (
                (None, None) if pictures.image is None else decode_pair(pictures.image, pictures.mask)
            )
        except (ApiError, errors.InvalidRequest) as error:
            raise Unverifiable(f"the request is refused: {error.message}") from None
        job = replace(job, mask=mask)
        made: list[StageReceipt] = []
        pixels = picture
        for index, stage in enumerate(image.stages):
            later = [config.models[each.model] for each in image.stages[index + 1 :]]
            try:
                result = await (await model(stage.model)).render(_asked(stage, job, pixels, later))
            except (errors.RenderError, ValueError) as error:
                raise Unverifiable(f"model {stage.model}: {error}") from None
            made.append(result.receipt)
            pixels = None if isinstance(result.image, EncodedImage) else result.image
        return made

    try:
        yield render
    finally:
        for each in loaded.values():
            await each.close()


def verdicts(image: Image, again: Sequence[StageReceipt]) -> list[Verdict]:
    """One for each stage, up to the first whose pixels differ: what follows was made of other pixels.

    Raises Unverifiable if something else was rendered than what the receipt is of.
    """
    before = [stage.receipt() for stage in image.stages]
    models = ["+".join(each.model for each in stages) for stages in (before, again)]
    if models[0] != models[1]:
        raise Unverifiable(f"{models[1] or 'a baked asset'} answered now, {models[0]} then")
    reached: list[Verdict] = []
    for then, now in zip(before, again, strict=True):
        if made_of_other_inputs(then, now):
            raise Unverifiable(
                f"model {then.model} was given another prompt, negative prompt or picture then: "
                "give the request that the receipt is of"
            )
        reached.append(compare(then, now))
        if not reached[-1].same:
            break
    return reached


def _asked(stage: Stage, job: ImageJob, pixels: Pixels | None, later: Sequence[BaseSpec]) -> RenderRequest:
    """What the stage was asked. A model that paints under words set later is not told the words."""
    prompt = job.asset.prompt
    if any(isinstance(spec, TypesetterSpec) for spec in later):
        prompt = strip_text(prompt) or prompt
    return RenderRequest(
        request_id=job.request_id,
        prompt=prompt,
        width=stage.width,
        height=stage.height,
        seed=job.seeds[0],
        steps=stage.steps,
        guidance_scale=job.guidance_scale,
        negative_prompt=job.negative_prompt,
        image=pixels,
        mask=job.mask,
        strength=job.strength,
        lora=job.lora,
        deterministic=job.asset.deterministic,
        encoding=None if later else job.encoding,
        options=job.options,
    )


def _check_pictures(image: Image, pictures: Pictures) -> None:
    was_edited = image.stages[0].details.get("strength") is not None
    if was_edited and pictures.image is None:
        raise Unverifiable("the receipt is of a picture that was changed: give its file with --image")


def _form(fields: dict[str, Any], pictures: Pictures) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value if isinstance(value, str) else json.dumps(value))
    for name, data in (("image", pictures.image), ("mask", pictures.mask)):
        if data is not None:
            form.add_field(name, data, filename=name, content_type="application/octet-stream")
    return form


def _reason(answer: bytes) -> str:
    """The server's own words, or the beginning of what it sent."""
    try:
        return _Refusal.model_validate_json(answer).error.message
    except ValidationError:
        return repr(answer[:80])
