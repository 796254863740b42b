"""Marks go into files and come back, pixels stay, and other programs still read both."""

import contextlib
import dataclasses
import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deployments import images
from deployments.provenance import files
from deployments.provenance.files import Integrity
from deployments.provenance.mark import Mark, SourceType, Unreadable
from deployments.types import EncodedImage, Encoding, ImageFormat

RECEIPT = json.dumps({"request_id": "r-1", "text": "Größe <&> 日本 \u0000 ]]>"})
MARK = Mark(RECEIPT, SourceType.DRAWN.uri)
SVG = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="7">'
    b"<title>Badge</title><rect width='9' height='7'/></svg>\n"
)

ENCODINGS = {
    "png": Encoding(ImageFormat.PNG),
    "png, transparent": Encoding(ImageFormat.PNG, transparent=True),
    "jpeg": Encoding(ImageFormat.JPEG),
    "webp": Encoding(ImageFormat.WEBP, quality=80),
    "webp, transparent": Encoding(ImageFormat.WEBP, quality=80, transparent=True),
    "webp, lossless": Encoding(ImageFormat.WEBP, quality=100),
    "webp, lossless and transparent": Encoding(ImageFormat.WEBP, quality=100, transparent=True),
}


def picture(encoding: Encoding, width: int = 33, height: int = 17) -> EncodedImage:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 4), np.uint8)
    return images.encode(pixels, encoding)


def svg() -> EncodedImage:
    return EncodedImage(SVG, ImageFormat.SVG, 9, 7)


def every_format() -> list[object]:
    made: list[object] = [
        pytest.param(lambda encoding=encoding: picture(encoding), id=name)
        for name, encoding in ENCODINGS.items()
    ]
    return [*made, pytest.param(svg, id="svg")]


@pytest.mark.parametrize("make", every_format())
def test_a_mark_comes_back_and_is_taken_off_without_a_trace(make: Callable[[], EncodedImage]) -> None:
    plain = make()
    marked = files.embed(plain, MARK)
    assert files.read(marked.data) == MARK
    assert files.read(plain.data) == Mark(None)
    assert files.strip(marked.data) == plain.data
    assert files.strip(plain.data) == plain.data
    assert (marked.format, marked.width, marked.height) == (plain.format, plain.width, plain.height)


@pytest.mark.parametrize("make", every_format())
def test_the_source_type_alone(make: Callable[[], EncodedImage]) -> None:
    mark = Mark(None, SourceType.GENERATED.uri)
    assert files.read(files.embed(make(), mark).data) == mark


@pytest.mark.parametrize("make", every_format())
def test_what_has_a_mark_keeps_it(make: Callable[[], EncodedImage]) -> None:
    once = files.embed(make(), MARK)
    assert files.embed(once, Mark(None, SourceType.GENERATED.uri)) == once


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_pillow_sees_the_same_pixels_and_the_source_type(encoding: Encoding) -> None:
    plain = picture(encoding)
    marked = files.embed(plain, MARK)
    with Image.open(io.BytesIO(plain.data)) as before, Image.open(io.BytesIO(marked.data)) as after:
        after.load()
        assert after.mode == before.mode
        assert after.tobytes() == before.tobytes()
        assert SourceType.DRAWN.uri.encode() in after.info["xmp"]
        if encoding.format is ImageFormat.PNG:
            assert after.text["atelier.receipt"] == RECEIPT  # type: ignore[attr-defined]


def test_a_receipt_too_long_for_jpeg_is_left_out_and_the_source_type_is_kept() -> None:
    mark = dataclasses.replace(MARK, receipt=json.dumps("x" * 70_000))
    assert files.read(files.embed(picture(Encoding(ImageFormat.JPEG)), mark).data) == Mark(
        None, MARK.source_type_uri
    )


def test_jpeg_keeps_what_must_come_first() -> None:
    target = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 8)).save(target, "JPEG", exif=exif)
    marked = files.embed(EncodedImage(target.getvalue(), ImageFormat.JPEG, 8, 8), MARK)
    assert marked.data.startswith(target.getvalue()[:20])
    with Image.open(io.BytesIO(marked.data)) as image:
        assert image.getexif()[0x0112] == 6


def test_a_png_whose_texts_another_program_compressed() -> None:
    target = io.BytesIO()
    texts = PngInfo()
    texts.add_itxt("atelier.receipt", RECEIPT, zip=True)
    Image.new("RGB", (8, 8)).save(target, "PNG", pnginfo=texts)
    assert files.read(target.getvalue()).receipt == RECEIPT


def test_a_compressed_text_that_would_fill_the_memory() -> None:
    body = b"atelier.receipt\0\1\0\0\0" + zlib.compress(b"x" * (5 << 20))
    crc = zlib.crc32(b"iTXt" + body)
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", crc)
    plain = picture(ENCODINGS["png"]).data
    with pytest.raises(Unreadable, match="more than"):
        files.read(plain[:33] + chunk + plain[33:])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is not a PNG"),
        (b"GIF89a", "is not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "cut off"),
        (b"\xff\xd8\xff\xe1\0\1", "damaged"),
        (b"RIFF\0\0\0\0WEBPVP8 \xff\0\0\0x", "damaged"),
        (b"<svg><!DOCTYPE x></svg>", "declares entities"),
        (b"<svg>", "not XML"),
    ],
)
def test_what_is_no_sound_picture(data: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        files.read(data)


@given(st.sampled_from(sorted(ENCODINGS)), st.data())
def test_cut_and_changed_files_are_read_or_refused(name: str, draw: st.DataObject) -> None:
    data = bytearray(files.embed(picture(ENCODINGS[name]), MARK).data)
    if draw.draw(st.booleans()):
        data = data[: draw.draw(st.integers(0, len(data)))]
    else:
        data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    for read in (files.read, files.strip):
        with contextlib.suppress(Unreadable):
            read(bytes(data))


def test_a_file_written_again_with_and_without_the_same_pixels() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (17, 33, 3), np.uint8)
    plain = images.encode(pixels, ENCODINGS["png"])
    marked = files.embed(plain, MARK).data
    digests = _sha256(plain.data), images.sha256(pixels)
    assert files.integrity(marked, *digests) is Integrity.AS_WRITTEN
    assert files.integrity(_saved_again(pixels), *digests) is Integrity.SAME_PIXELS
    assert files.integrity(_saved_again(255 - pixels), *digests) is Integrity.CHANGED


def test_an_svg_in_which_a_letter_changed() -> None:
    marked = files.embed(svg(), MARK).data
    assert files.integrity(marked, _sha256(SVG), None) is Integrity.AS_WRITTEN
    assert files.integrity(marked.replace(b"Badge", b"Bodge"), _sha256(SVG), None) is Integrity.CHANGED


def _saved_again(pixels: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", compress_level=9)
    return target.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
