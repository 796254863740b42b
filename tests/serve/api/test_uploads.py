"""Strangers' files through a real server: the hostile are refused by name, the merely odd are read right."""

import http.client
import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.types import Pixels, RenderRequest, RenderResult
from tests.serve.gateways import echo, gateway, listening
from tests.serve.hostile.forms import (
    EDITS,
    GOOD,
    PROMPT,
    Upload,
    form,
    hostile_pictures,
    hostile_uploads,
    part,
)
from tests.serve.hostile.parts import PNG_SIGNATURE, chunk, header, noise, png, saved, segment

PICTURES = 200
"""At least so many, without those that are sent a second time."""


class Server:
    """A gateway on loopback, and the pictures that came through to its model."""

    def __init__(self, url: str, reached: list[RenderRequest]) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        self._reached = reached

    def send(self, upload: Upload) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": upload.content_type} if upload.content_type else {}
        self._connection.request("POST", upload.path, upload.body, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def accepted(self, body: bytes) -> RenderRequest:
        """What the model was asked."""
        status, answer = self.send(Upload("accepted", EDITS, body))
        assert status == 200, answer
        return self._reached.pop()

    def close(self) -> None:
        self._connection.close()
        assert self._reached == [], "a refused upload reached the model"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    reached: list[RenderRequest] = []

    async def edit(request: RenderRequest) -> RenderResult:
        reached.append(request)
        return await echo("editor").render(request)

    models = {"editor": {"kind": "echo", "capability": "edit"}}
    with listening(gateway("default: {model: editor}", models, {"editor": edit})) as url:
        server = Server(url, reached)
        yield server
        server.close()


def test_every_hostile_upload_is_refused_by_name_and_the_next_one_served(server: Server) -> None:
    wrong: list[str] = []
    for upload in hostile_uploads():
        status, answer = server.send(upload)
        error = answer.get("error", {})
        expected = {"type": "invalid_request_error", "code": upload.code, "param": upload.param}
        if status != 400 or error != {**expected, "message": error.get("message")}:
            wrong.append(f"{upload.name} ({upload.path}): {status} {error or 'accepted'}")
        elif upload.code == "invalid_image" and not error["message"].startswith(f"{upload.param} "):
            wrong.append(f"{upload.name}: {error['message']!r} does not name {upload.param}")
    assert wrong == []
    assert np.array_equal(accepted_pixels(server, GOOD), np.zeros((48, 64, 3)))


def test_the_corpus_is_of_many_different_files() -> None:
    pictures = hostile_pictures()
    assert len({picture.name for picture in pictures}) == len({picture.data for picture in pictures})
    assert len(pictures) >= PICTURES


def accepted_pixels(server: Server, file: bytes) -> Pixels:
    reached = server.accepted(form(PROMPT, ("image", "a.png", file))).image
    assert reached is not None
    return reached


COLOURS = noise(40, 24, 4)
GREY = COLOURS.convert("L")
JPEG = saved(noise(40, 24), "JPEG", quality=95)
AS_JPEG = np.asarray(Image.open(io.BytesIO(JPEG)))


def test_grey_with_alpha_is_read_as_both(server: Server) -> None:
    found = accepted_pixels(server, saved(COLOURS.convert("LA"), "PNG"))
    grey, alpha = np.asarray(COLOURS.convert("LA")).transpose(2, 0, 1)
    assert np.array_equal(found, np.dstack([grey, grey, grey, alpha]))


def test_one_bit_is_black_and_white(server: Server) -> None:
    bits = GREY.point(lambda level: 255 * (level > 127), "1")
    found = accepted_pixels(server, saved(bits, "PNG"))
    assert np.array_equal(found, np.repeat(np.asarray(bits)[..., None] * np.uint8(255), 3, axis=2))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_is_read_with_its_transparency(server: Server, depth: int) -> None:
    """Two colours, of which the first is clear and the second, without an entry, opaque."""
    row = b"\0" + {1: b"\x40", 2: b"\x10", 4: b"\x01", 8: b"\x00\x01"}[depth]
    file = PNG_SIGNATURE + header(2, 1, depth, 3) + chunk(b"PLTE", bytes((10, 20, 30, 200, 100, 50)))
    file += chunk(b"tRNS", b"\x07") + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND")
    assert accepted_pixels(server, file).tolist() == [[[10, 20, 30, 7], [200, 100, 50, 255]]]


def test_a_key_colour_is_clear(server: Server) -> None:
    key = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    found = accepted_pixels(server, png(2, 1, bytes((0, 1, 2, 3, 4, 5, 6)), key))
    assert found.tolist() == [[[1, 2, 3, 0], [4, 5, 6, 255]]]


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_every_8_bit_jpeg_is_read(server: Server, options: dict[str, Any]) -> None:
    file = saved(noise(40, 24), "JPEG", **options)
    assert np.array_equal(accepted_pixels(server, file), np.asarray(Image.open(io.BytesIO(file))))


def orientation(entry: bytes) -> bytes:
    """EXIF whose one entry is the orientation; `entry` has its type, count and value."""
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12" + entry + bytes(4)


@pytest.mark.parametrize(
    "exif",
    [
        b"MM\0*\0\0\0\x08\xff\xff" + bytes(30),
        b"??" + bytes(40),
        b"II*\0\xff\xff\xff\xff",
        orientation(b"\0\x02\0\0\0\x02ab\0\0"),
        orientation(b"\0\x03\0\0\0\x01\0\x63\0\0"),
    ],
    ids=["too many entries", "no byte order", "points nowhere", "orientation in text", "orientation 99"],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_turns_nothing(server: Server, exif: bytes) -> None:
    file = JPEG[:2] + segment(0xE1, b"Exif\0\0" + exif) + JPEG[2:]
    assert np.array_equal(accepted_pixels(server, file), AS_JPEG)


def test_a_photograph_is_turned_upright(server: Server) -> None:
    file = JPEG[:2] + segment(0xE1, b"Exif\0\0" + orientation(b"\0\x03\0\0\0\x01\0\x06\0\0")) + JPEG[2:]
    assert np.array_equal(accepted_pixels(server, file), np.rot90(AS_JPEG, -1))


@pytest.mark.parametrize(
    "file",
    [JPEG + b"PK\x03\x04" + bytes(60), JPEG + JPEG, JPEG[:2] + b"\xff" * 5_000_000 + JPEG[2:]],
    ids=["archive behind it", "preview behind it", "fill bytes"],
)
def test_only_the_picture_of_a_jpeg_is_read(server: Server, file: bytes) -> None:
    assert np.array_equal(accepted_pixels(server, file), AS_JPEG)


def test_names_and_types_of_files_are_not_believed(server: Server) -> None:
    file = saved(COLOURS, "PNG")
    body = form(PROMPT).replace(
        b"------a-boundary--", part("image", "../../etc/a.svg", file, "Content-Type: text/html\r\n")
        + b"------a-boundary--"
    )  # fmt: skip
    assert np.array_equal(server.accepted(body).image, COLOURS)


def test_a_palette_with_transparency_is_a_mask(server: Server) -> None:
    mask = GREY.quantize(2)
    clear = np.asarray(mask) == 0
    parts = (("image", "a.png", JPEG), ("mask", "m.png", saved(mask, "PNG", transparency=0)))
    asked = server.accepted(form(PROMPT, *parts))
    assert np.array_equal(asked.mask, np.where(clear, 255, 0))
