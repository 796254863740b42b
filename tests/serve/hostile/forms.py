"""Hostile requests: each hostile picture in a form, and forms that are hostile themselves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from tests.serve.hostile.jpegs import jpegs
from tests.serve.hostile.parts import Picture, noise, png, saved
from tests.serve.hostile.pngs import pngs
from tests.serve.hostile.strangers import strangers
from tests.serve.hostile.webps import webps

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
BOUNDARY = "----a-boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
GOOD = png(64, 48)
PROMPT = ("prompt", None, b"a fox")
PARAMS = ("image", "mask")


@dataclass(frozen=True, slots=True)
class Upload:
    """A request and the error it must get. `param` is the field that the error names, None for the form."""

    name: str
    path: str
    body: bytes
    code: str = "invalid_image"
    param: str | None = "image"
    content_type: str = TYPE


Part = tuple[str, str | None, bytes]
"""Name, file name, data."""


def form(*parts: Part) -> bytes:
    body = b"".join(part(name, filename, data) for name, filename, data in parts)
    return body + f"--{BOUNDARY}--\r\n".encode()


def part(name: str, filename: str | None, data: bytes, headers: str = "") -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{headers}\r\n'
    return head.encode() + data + b"\r\n"


def hostile_pictures() -> list[Picture]:
    return [*pngs(), *jpegs(), *webps(), *strangers()]


def hostile_uploads() -> Iterator[Upload]:
    """Made one at a time: together they would take more memory than what they attack."""
    for number, picture in enumerate(hostile_pictures()):
        file = ("image", "a.png", picture.data)
        yield Upload(picture.name, EDITS, form(PROMPT, file))
        if number % 4 == 0:
            yield Upload(picture.name, VARIATIONS, form(file))
        if number % 4 == 2:
            parts = (PROMPT, ("image", "a.png", GOOD), ("mask", "m.png", picture.data))
            yield Upload(f"{picture.name} as a mask", EDITS, form(*parts), param="mask")
    yield from _masks()
    yield from _forms()
    yield from _fields()


def _masks() -> Iterator[Upload]:
    clear = Image.new("RGBA", (64, 48))
    turned = Image.Exif()
    turned[0x0112] = 6
    masks = {
        "a mask of another size": saved(clear.resize((63, 48)), "PNG"),
        "a mask of the size turned": saved(clear.resize((48, 64)), "PNG"),
        "a mask of one pixel": saved(clear.resize((1, 1)), "PNG"),
        "a mask of 8 MP": saved(Image.new("LA", (3840, 2160)), "PNG"),
        "a mask without transparency": GOOD,
        "a mask in grey": saved(Image.new("L", (64, 48), 255), "PNG"),
        "a mask as JPEG": saved(noise(64, 48), "JPEG"),
        "a mask with a palette that is opaque": saved(noise(64, 48).quantize(8), "PNG"),
        "an empty mask": b"",
    }
    for name, mask in masks.items():
        parts = (PROMPT, ("image", "a.png", GOOD), ("mask", "m.png", mask))
        yield Upload(name, EDITS, form(*parts), param="mask")
    yield Upload(
        "a variation with a mask", VARIATIONS, form(("image", "a.png", GOOD), ("mask", "m.png", GOOD)),
        "unknown_parameter", "mask",
    )  # fmt: skip


def _forms() -> Iterator[Upload]:
    image = part("image", "a.png", GOOD)
    prompt, mask = part(*PROMPT), part("mask", "m.png", saved(Image.new("RGBA", (64, 48)), "PNG"))
    end = f"--{BOUNDARY}--\r\n".encode()
    whole = prompt + image + end

    def bad(name: str, body: bytes, param: str | None = None, content_type: str = TYPE) -> Upload:
        return Upload(name, EDITS, body, "invalid_body", param, content_type)

    yield bad("no body", b"")
    yield bad("no form", b"a fox")
    yield bad("no end", prompt + image, "image")
    yield bad("a mask that is cut off", prompt + image + mask[:-40], "mask")
    yield bad("an end in the middle of a header", prompt + image + mask[:60])
    yield bad("no boundary", whole, None, "multipart/form-data")
    yield bad("another boundary", whole, None, "multipart/form-data; boundary=xyz")
    yield bad("a boundary of 2 kB", whole, None, f"multipart/form-data; boundary={'x' * 2000}")
    yield bad("JSON", b'{"prompt": "a fox"}', "image", "application/json")
    yield bad("a picture alone", GOOD, "image", "image/png")
    yield bad("URL-encoded fields", b"prompt=a+fox&image=a.png", "image", "application/x-www-form-urlencoded")
    yield bad("parts of another kind", whole, "image", TYPE.replace("form-data", "mixed"))
    yield bad("no type", whole, "image", "")
    yield bad("five files", image * 5 + end, "image")
    yield bad("a hundred fields", part("x", None, b"1") * 100 + end, "x")
    yield bad("100,000 fields", part("x", None, b"1") * 100_000 + end, "x")
    yield bad("a prompt of 2 MB", part("prompt", None, b"x" * 2_000_000) + image + end, "prompt")
    yield bad(
        "an image of 2 MB without a file name", prompt + part("image", None, bytes(2_000_000)) + end, "image"
    )
    yield bad("a part without a name", whole.replace(b' name="image";', b""))
    yield bad("a part without a disposition", whole.replace(b"Content-Disposition", b"X-Disposition"))
    yield bad("a header of 10 kB", prompt + part("image", "a", GOOD, f"X-A: {'a' * 10_000}\r\n") + end)
    yield bad("a hundred headers", prompt + part("image", "a", GOOD, "X-A: a\r\n" * 100) + end)
    yield bad("a file name of 10 kB", prompt + part("image", "a" * 10_000, GOOD) + end)
    yield bad("16 MB of line ends", b"\r\n" * 8_000_000)


def _fields() -> Iterator[Upload]:
    file: Part = ("image", "a.png", GOOD)

    def wrong(name: str, code: str, param: str | None, *parts: Part) -> Upload:
        return Upload(name, EDITS, form(*parts), code, param)

    deep = b"[" * 100_000 + b"]" * 100_000
    many = json.dumps({f"x{number}": 1 for number in range(60_000)}).encode()
    yield wrong("no image", "missing_parameter", "image", PROMPT)
    yield wrong("nothing", "missing_parameter", "image")
    empty = "multipart/form-data; boundary="
    yield Upload("an empty boundary", EDITS, form(PROMPT, file), "missing_parameter", "image", empty)
    yield wrong("no prompt", "missing_parameter", "prompt", file)
    yield wrong("two images", "invalid_parameter", "image", PROMPT, file, file)
    yield wrong(
        "two images in a list", "invalid_parameter", "image", PROMPT, *[("image[]", "a.png", GOOD)] * 2
    )
    yield wrong("two masks", "invalid_parameter", "mask", PROMPT, file, *[("mask", "m.png", GOOD)] * 2)
    yield wrong("an image without a file name", "invalid_parameter", "image", PROMPT, ("image", None, GOOD))
    yield wrong(
        "a link to an image", "invalid_parameter", "image", PROMPT, ("image", None, b"http://localhost/")
    )
    yield wrong("a file of another name", "unknown_parameter", "file", PROMPT, file, ("file", "a.png", GOOD))
    yield wrong("two prompts", "invalid_parameter", "prompt", PROMPT, PROMPT, file)
    yield wrong("a prompt that is a file", "unknown_parameter", "prompt", ("prompt", "a.txt", b"a fox"), file)
    yield wrong("an unknown field", "unknown_parameter", "colour", PROMPT, file, ("colour", None, b"red"))
    yield wrong(
        "options that are no JSON", "invalid_parameter", "atelier", PROMPT, file, ("atelier", None, b"{")
    )
    yield wrong(
        "options that are deep", "invalid_parameter", "atelier", PROMPT, file, ("atelier", None, deep)
    )
    yield wrong(
        "options that are many", "unknown_parameter", "atelier.x0", PROMPT, file, ("atelier", None, many)
    )
    yield wrong("a long prompt", "prompt_too_long", "prompt", ("prompt", None, b"x" * 900_000), file)
    yield wrong(
        "an image inside the options",
        "unknown_parameter",
        "atelier.image",
        PROMPT,
        ("atelier[image]", None, b"x"),
        file,
    )
