"""OpenAI's Images API as published: fields and values from the official client's generated types, the rules
between them from the API reference. A server that is strict, and paints a flat colour."""

import base64
import json
from typing import Any

from aiohttp import web
from openai.types.image_edit_params import ImageEditParamsNonStreaming
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming
from PIL import Image
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from tests.deployments.hosted.standin import (
    KEY,
    Behaviour,
    Hang,
    HangUp,
    Paint,
    Refuse,
    Say,
    Seen,
    Special,
    StandIn,
    Violation,
    drop,
    never,
    painting,
    read_form,
    require,
)

DALL_E_3_SIZES = {"1024x1024", "1792x1024", "1024x1792"}
GPT_IMAGE_SIZES = {"1024x1024", "1536x1024", "1024x1536", "auto"}
FREE_SIZE_MODELS = (
    "gpt-image-2",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.6-flare",
    "gpt-image-2.6-sunburst",
)
FIXED_SIZE_MODELS = ("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest")
EXTREME_QUALITIES = ("xhigh", "max")
LINK = Special("answer with a link")
"""What DALL·E 3 did where response_format was url, and some compatible servers always do."""

_config = with_config(ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True))
GENERATE = TypeAdapter(_config(ImageGenerateParamsNonStreaming))


def error(message: str, code: str | None, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# Recorded: texts and codes as callers have published them.
CONTENT_POLICY = Refuse(
    400,
    error(
        "Your request was rejected as a result of our safety system. Your prompt may contain text that is "
        "not allowed by our safety system.",
        "content_policy_violation",
    ),
)
MODERATION = Refuse(
    400,
    error(
        "Your request was rejected by the safety system. safety_violations=[violence].",
        "moderation_blocked",
        "image_generation_user_error",
    ),
)
WRONG_KEY = Refuse(
    401, error(f"Incorrect API key provided: {KEY}. You can find your API key at ...", "invalid_api_key")
)
NO_CREDIT = Refuse(
    429,
    error(
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
)
HARD_LIMIT = Refuse(400, error("Billing hard limit has been reached", "billing_hard_limit_reached"))
PAYMENT = Refuse(402, error("Payment required.", None))
RATE_LIMIT = Refuse(
    429,
    error("Rate limit reached for images per minute.", "rate_limit_exceeded", "requests"),
    {"retry-after": "7"},
)
INVALID = Refuse(400, error("Invalid value: '1x1'.", "invalid_value"))
UNPROCESSABLE = Refuse(422, error("Unprocessable.", None))
GONE = Refuse(
    404,
    error(
        "The model `dall-e-3` has been deprecated, learn more here: "
        "https://platform.openai.com/docs/deprecations",
        "model_not_found",
    ),
)
DOWN = Refuse(500, error("The server had an error while processing your request.", None, "server_error"))
OVERLOADED = Refuse(503, "upstream connect error", {})


class OpenAIStandIn(StandIn):
    """`lenient` takes any model, size and field, as a compatible server does."""

    def __init__(self, lenient: bool = False) -> None:
        super().__init__()
        self._lenient = lenient

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/images/generations", self._generate)
        app.router.add_post("/v1/images/edits", self._edit)
        app.router.add_get("/files/{name}", self._file)
        return app

    async def _generate(self, request: web.Request) -> web.Response:
        try:
            self._authorized(request)
            fields = json.loads(await request.text())
            if not self._lenient:
                check_generation(fields)
        except (Violation, ValidationError) as error:
            return self._violated(request, error)
        self.saw(Seen(request.path, fields, {}, request.headers))
        return await self._answer(request, fields, self.next_behaviour())

    async def _edit(self, request: web.Request) -> web.Response:
        try:
            self._authorized(request)
            fields, files = await read_form(request)
            if not self._lenient:
                check_edit(fields, files)
        except (Violation, ValidationError) as error:
            return self._violated(request, error)
        self.saw(Seen(request.path, fields, files, request.headers))
        return await self._answer(request, fields, self.next_behaviour())

    def _authorized(self, request: web.Request) -> None:
        require(request.headers.get("authorization") == f"Bearer {KEY}", "no API key")

    def _violated(self, request: web.Request, problem: Exception) -> web.Response:
        self.violations.append(f"{request.path}: {problem}")
        return web.json_response(error(str(problem), "invalid_value"), status=400)

    async def _answer(
        self, request: web.Request, fields: dict[str, Any], behaviour: Behaviour | None
    ) -> web.Response:
        width, height = (int(side) for side in fields.get("size", "1024x1024").split("x"))
        mode = "RGBA" if fields.get("background") == "transparent" else "RGB"
        image = painting(fields["prompt"], width, height, mode)
        headers = {"x-request-id": "req_standin"}
        match behaviour:
            case Refuse(status, body, more):
                if isinstance(body, str):
                    return web.Response(text=body, status=status, headers=more)
                return web.json_response(body, status=status, headers=more)
            case Hang():
                return await never()
            case HangUp():
                return drop(request)
            case Say(body, content_type):
                return web.Response(body=body, content_type=content_type, headers=headers)
            case Special():
                entry: dict[str, Any] = {"url": f"{self.origin}/files/{width}x{height}.png"}
            case _:
                image = behaviour.image if isinstance(behaviour, Paint) else image
                entry = {"b64_json": base64.b64encode(image).decode()}
        if fields["model"] == "dall-e-3":
            entry["revised_prompt"] = f"{fields['prompt']}, in great detail"
        return web.json_response({"created": 1, "data": [entry]}, headers=headers)

    async def _file(self, request: web.Request) -> web.Response:
        require("authorization" not in request.headers, "the key was sent along with a download")
        width, height = request.match_info["name"].removesuffix(".png").split("x")
        return web.Response(body=painting("linked", int(width), int(height)), content_type="image/png")


def check_generation(fields: dict[str, Any]) -> None:
    GENERATE.validate_python(fields)
    check_model_rules(fields)


def check_edit(fields: dict[str, str], files: dict[str, Image.Image]) -> None:
    known = set(ImageEditParamsNonStreaming.__annotations__) | _base_annotations(ImageEditParamsNonStreaming)
    require(set(fields) | set(files) <= known, f"unknown fields {sorted(set(fields) - known)}")
    require("prompt" in fields and "image" in files, "prompt and image are required")
    require(fields.get("model") != "dall-e-3", "dall-e-3 cannot edit")
    check_model_rules({**fields, "n": int(fields["n"])} if "n" in fields else dict(fields))
    mask = files.get("mask")
    if mask is not None:
        require(mask.format == "PNG" and mask.mode == "RGBA", "the mask is a PNG with alpha")
        require(mask.size == files["image"].size, "mask and image have different sizes")


def _base_annotations(kind: Any) -> set[str]:
    return set(kind.__required_keys__) | set(kind.__optional_keys__)


def check_model_rules(fields: dict[str, Any]) -> None:
    """Which values go with which model."""
    model, size, quality = fields.get("model"), fields.get("size", "auto"), fields.get("quality")
    if model == "dall-e-3":
        require(fields.get("n", 1) == 1, "dall-e-3 makes one image at a time")
        require(size in DALL_E_3_SIZES, f"dall-e-3 does not make {size}")
        require(quality in (None, "standard", "hd"), f"dall-e-3 has no quality {quality}")
        only_newer = {"background", "moderation", "output_format", "output_compression", "stream"}
        require(not only_newer & set(fields), f"dall-e-3 has no {only_newer & set(fields)}")
        require(len(fields["prompt"]) <= 4000, "the prompt is too long")
        return
    require(model in (*FREE_SIZE_MODELS, *FIXED_SIZE_MODELS), f"no model {model}")
    require(not {"style", "response_format"} & set(fields), f"{model} has neither style nor response_format")
    require(quality not in ("standard", "hd"), f"{model} has no quality {quality}")
    late = model.startswith(("gpt-image-2.5", "gpt-image-2.6"))
    require(quality not in EXTREME_QUALITIES or late, f"{model} has no quality {quality}")
    if fields.get("background") == "transparent":
        require(fields.get("output_format", "png") in ("png", "webp"), "transparency needs png or webp")
    if model in FIXED_SIZE_MODELS:
        require(size in GPT_IMAGE_SIZES, f"{model} does not make {size}")
    elif size != "auto":
        width, height = (int(side) for side in size.split("x"))
        require(width % 16 == height % 16 == 0, "sides are multiples of 16")
        require(max(width, height) <= 3840, "no side is over 3840")
        require(max(width, height) <= 3 * min(width, height), "at most 3:1")
        require(655_360 <= width * height <= 8_294_400, "655,360 to 8,294,400 pixels")
