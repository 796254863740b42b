"""Ideogram's API as its OpenAPI description has it: a strict server that paints a flat colour.

Fields, values and exclusions are those of `GenerateImageRequest`, `GenerateImageRequestV3`,
`RemixImageRequestV3` and `EditImageRequestV3`; nothing here comes from the code under test.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from PIL import Image

from tests.deployments.hosted.standin import (
    KEY,
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
    one_of,
    painting,
    read_form,
    require,
)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_SEED = 2147483647
MAGIC_PROMPT = frozenset({"AUTO", "ON", "OFF"})
SPEEDS = frozenset({"FLASH", "TURBO", "BALANCED", "DEFAULT", "QUALITY"})
STYLES_V3 = frozenset({"AUTO", "GENERAL", "REALISTIC", "DESIGN", "CUSTOM", "FICTION", "STYLIZED"})
RATIOS = {
    f"ASPECT_{ratio}": size
    for ratio, size in {
        "10_16": (640, 1024),
        "16_10": (1024, 640),
        "9_16": (576, 1024),
        "16_9": (1024, 576),
        "3_2": (1024, 683),
        "2_3": (683, 1024),
        "4_3": (1024, 768),
        "3_4": (768, 1024),
        "1_1": (1024, 1024),
        "1_3": (512, 1536),
        "3_1": (1536, 512),
    }.items()
}
"""The published ratios. Their sizes are not published; these are this stand-in's."""

RESOLUTIONS_V3 = words(
    """512x1536 576x1408 576x1472 576x1536 640x1344 640x1408 640x1472 640x1536 704x1152 704x1216 704x1280
    704x1344 704x1408 704x1472 736x1312 768x1088 768x1216 768x1280 768x1344 800x1280 832x960 832x1024
    832x1088 832x1152 832x1216 832x1248 864x1152 896x960 896x1024 896x1088 896x1120 896x1152 960x832
    960x896 960x1024 960x1088 1024x832 1024x896 1024x960 1024x1024 1088x768 1088x832 1088x896 1088x960
    1120x896 1152x704 1152x832 1152x864 1152x896 1216x704 1216x768 1216x832 1248x832 1280x704 1280x768
    1280x800 1312x736 1344x640 1344x704 1344x768 1408x576 1408x640 1408x704 1472x576 1472x640 1472x704
    1536x512 1536x576 1536x640"""
)
LEGACY_FIELDS = words(
    """prompt aspect_ratio model magic_prompt_option magic_prompt_version seed style_type negative_prompt
    num_images resolution color_palette"""
)
SHARED_V3_FIELDS = words(
    """prompt seed rendering_speed magic_prompt num_images color_palette style_codes style_type
    style_preset custom_model_uri"""
)
GENERATE_V3_FIELDS = SHARED_V3_FIELDS | {"resolution", "aspect_ratio", "negative_prompt"}
REMIX_V3_FIELDS = GENERATE_V3_FIELDS | {"image_weight"}

UNSAFE_PROMPT = Refuse(
    422, {"error": "Prompt provided failed safety check due to the inclusion of prohibited content."}
)
WRONG_KEY = Refuse(401, {"error": f"Not authorized to generate an image with {KEY}."})
NO_CREDIT = Refuse(402, {"error": "Payment is required; did you create a subscription?"})
INVALID = Refuse(400, {"error": "Invalid input provided."})
RATE_LIMIT = Refuse(429, {"error": "Too many requests."}, {"retry-after": "7"})
DOWN = Refuse(500, {"error": "Internal server error."})
GONE = Refuse(410, {"error": "This model version is no longer available."})
UNSAFE_IMAGE = Special("the image failed the safety check")
EXPIRED_LINK = Special("the link has expired")
FOREIGN_LINK = Special("the link leads elsewhere")
REDIRECT = Special("the link redirects")


class IdeogramStandIn(StandIn):
    """`elsewhere` is where FOREIGN_LINK and REDIRECT lead."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere = "http://169.254.169.254/latest/meta-data"
        self.downloads = 0
        self._painted: dict[str, bytes] = {}

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/generate", self._legacy)
        app.router.add_post("/v1/ideogram-v3/generate", self._v3(GENERATE_V3_FIELDS, frozenset()))
        app.router.add_post("/v1/ideogram-v3/remix", self._v3(REMIX_V3_FIELDS, frozenset({"image"})))
        app.router.add_post("/v1/ideogram-v3/edit", self._v3(SHARED_V3_FIELDS, frozenset({"image", "mask"})))
        app.router.add_get("/api/images/ephemeral/{name}", self._image)
        return app

    async def _legacy(self, request: web.Request) -> web.Response:
        try:
            self._authorized(request)
            body = json.loads(await request.text())
            require(set(body) == {"image_request"}, "the body has exactly one field, image_request")
            fields = body["image_request"]
            check_legacy(fields)
        except Violation as problem:
            return self._violated(request, problem)
        self.saw(Seen(request.path, fields, {}, request.headers))
        return await self._answer(request, fields["prompt"], RATIOS[fields.get("aspect_ratio", "ASPECT_1_1")])

    def _v3(self, known: frozenset[str], required_files: frozenset[str]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                self._authorized(request)
                fields, files = await read_form(request)
                check_v3(fields, known)
                require(set(files) == required_files, f"files are {sorted(files)}")
                check_pictures(files)
            except Violation as problem:
                return self._violated(request, problem)
            self.saw(Seen(request.path, fields, files, request.headers))
            width, height = (int(side) for side in fields.get("resolution", "1024x1024").split("x"))
            size = files["image"].size if "mask" in files else (width, height)
            return await self._answer(request, fields["prompt"], size)

        return handle

    def _authorized(self, request: web.Request) -> None:
        require(request.headers.get("Api-Key") == KEY, "no API key")

    def _violated(self, request: web.Request, problem: Exception) -> web.Response:
        self.violations.append(f"{request.path}: {problem}")
        return web.json_response({"error": "Invalid input provided."}, status=400)

    async def _answer(self, request: web.Request, prompt: str, size: tuple[int, int]) -> web.Response:
        behaviour = self.next_behaviour()
        image = painting(prompt, *size)
        link = self._link(len(self.calls), expires_s=time.time() + 3600)
        match behaviour:
            case Refuse(status, body, headers):
                return web.json_response(body, status=status, headers=headers)
            case Hang():
                return await never()
            case HangUp():
                return drop(request)
            case Say(body, content_type):
                return web.Response(body=body, content_type=content_type)
            case Paint(broken):
                image = broken
            case Special() if behaviour == EXPIRED_LINK:
                link = self._link(len(self.calls), expires_s=time.time() - 1)
            case Special() if behaviour == FOREIGN_LINK:
                link = self.elsewhere
            case Special() if behaviour == REDIRECT:
                link += "&redirect=1"
        self._painted[str(len(self.calls))] = image
        unsafe = behaviour == UNSAFE_IMAGE
        entry = {
            "prompt": prompt,
            "resolution": f"{size[0]}x{size[1]}",
            "is_image_safe": not unsafe,
            "seed": 12345,
            "url": None if unsafe else link,
            "style_type": "GENERAL",
        }
        return web.json_response({"created": "2000-01-23T04:56:07+00:00", "data": [entry]})

    def _link(self, number: int, expires_s: float) -> str:
        return f"{self.origin}/api/images/ephemeral/{number}.png?exp={int(expires_s)}&sig=e13e1267"

    async def _image(self, request: web.Request) -> web.StreamResponse:
        self.downloads += 1
        if "Api-Key" in request.headers or "authorization" in request.headers:
            self.violations.append("the key was sent along with a download")
        if request.query.get("sig") != "e13e1267" or float(request.query["exp"]) < time.time():
            return web.Response(status=403)
        if "redirect" in request.query:
            return web.Response(status=302, headers={"location": self.elsewhere})
        number = request.match_info["name"].removesuffix(".png")
        return web.Response(body=self._painted[number], content_type="image/png")


def check_legacy(fields: dict[str, Any]) -> None:
    require(set(fields) <= LEGACY_FIELDS, f"unknown fields {sorted(set(fields) - LEGACY_FIELDS)}")
    require(isinstance(fields.get("prompt"), str), "prompt is required")
    require(not {"aspect_ratio", "resolution"} <= set(fields), "aspect_ratio excludes resolution")
    if fields.get("model") in ("V_1", "V_1_TURBO"):
        for name in ("resolution", "style_type", "color_palette"):
            require(name not in fields, f"{fields['model']} has no {name}")
    else:
        raise Violation(f"model is {fields.get('model')!r}")
    one_of(fields, "aspect_ratio", frozenset(RATIOS))
    one_of(fields, "magic_prompt_option", MAGIC_PROMPT)
    check_numbers(fields, int)


def check_v3(fields: dict[str, str], known: frozenset[str]) -> None:
    require(set(fields) <= known, f"unknown fields {sorted(set(fields) - known)}")
    require("prompt" in fields, "prompt is required")
    require(not {"aspect_ratio", "resolution"} <= set(fields), "aspect_ratio excludes resolution")
    require(not {"style_codes", "style_type"} <= set(fields), "style_codes exclude style_type")
    one_of(fields, "resolution", RESOLUTIONS_V3)
    one_of(fields, "rendering_speed", SPEEDS)
    one_of(fields, "magic_prompt", MAGIC_PROMPT)
    one_of(fields, "style_type", STYLES_V3)
    check_numbers(fields, str)
    if "image_weight" in fields:
        require(1 <= int(fields["image_weight"]) <= 100, "image_weight is from 1 to 100")


def check_numbers(fields: dict[str, Any], kind: type) -> None:
    for name, least, most in (("seed", 0, MAX_SEED), ("num_images", 1, 8)):
        if name in fields:
            value = fields[name]
            require(type(value) is kind and least <= int(value) <= most, f"{name} is {value!r}")


def check_pictures(files: dict[str, Image.Image]) -> None:
    for name, image in files.items():
        require(image.format in ("PNG", "JPEG", "WEBP"), f"{name} is {image.format}")
    if "mask" in files:
        require(files["mask"].size == files["image"].size, "mask and image have different sizes")
        require(files["mask"].mode == "L", "the mask is black and white")
        require(set(files["mask"].tobytes()) <= {0, 255}, "the mask is black and white")
