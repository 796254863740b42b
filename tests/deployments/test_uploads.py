"""Every file here is made by the test: what passes decodes right, what does not is refused cheaply."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deployments import uploads
from deployments.errors import InvalidRequest
from deployments.uploads import UploadLimits

PIXELS = np.random.default_rng(1).integers(0, 256, (24, 40, 4)).astype(np.uint8)


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, raw: bytes = bytes(64), *extra: bytes, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(raw, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


RGB = Image.fromarray(PIXELS[..., :3])
RGBA = Image.fromarray(PIXELS)
PNG = written(RGBA, "PNG")
JPEG = written(RGB, "JPEG", quality=95)
WEBP = written(RGBA, "WEBP", lossless=True, exact=True)


@pytest.mark.parametrize("data", [PNG, WEBP], ids=["png", "webp"])
def test_lossless_files_come_out_as_they_went_in(data: bytes) -> None:
    assert np.array_equal(uploads.decode_image(data), PIXELS)


def test_jpeg_is_decoded_as_pillow_decodes_it() -> None:
    assert np.array_equal(uploads.decode_image(JPEG), np.asarray(Image.open(io.BytesIO(JPEG))))


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (RGB.convert("L"), {}),
        (RGB.convert("LA"), {}),
        (RGB.convert("1"), {}),
        (RGB.quantize(7), {}),
        (RGB.quantize(7), {"transparency": 3}),
        (RGB, {"transparency": (1, 2, 3)}),
    ],
    ids=["grey", "grey and alpha", "1 bit", "palette", "palette with alpha", "key colour"],
)
def test_every_8_bit_png_is_accepted(image: Image.Image, options: dict[str, object]) -> None:
    data = written(image, "PNG", **options)
    decoded = Image.open(io.BytesIO(data))
    kind = "RGBA" if "A" in decoded.getbands() or "transparency" in decoded.info else "RGB"
    assert np.array_equal(uploads.decode_image(data), np.asarray(decoded.convert(kind)))


def test_interlaced_png_is_accepted() -> None:
    """Adam7 of a 3 x 2 grey image: four of the seven passes hold pixels, in the order of the file."""
    levels = np.array([[10, 60, 30], [70, 80, 90]], np.uint8)
    passes = [levels[:1, :1], levels[:1, 2:], levels[:1, 1:2], levels[1:, :]]
    raw = b"".join(b"\0" + row.tobytes() for rows in passes for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 1))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    assert np.array_equal(uploads.decode_image(data)[..., 0], levels)
    short = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(raw[:-1])) + chunk(b"IEND", b"")
    with pytest.raises(InvalidRequest, match="cut off"):
        uploads.decode_image(short)


def test_progressive_jpeg_with_restarts_is_accepted() -> None:
    data = written(RGB, "JPEG", progressive=True, restart_marker_rows=1)
    assert uploads.decode_image(data).shape == (24, 40, 3)


def test_photographs_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert uploads.decode_image(written(RGB, "JPEG", exif=exif)).shape == (40, 24, 3)


def test_webp_with_metadata_is_accepted() -> None:
    data = written(
        RGBA, "WEBP", lossless=True, exact=True, exif=Image.Exif().tobytes(), icc_profile=b"x" * 200
    )
    assert np.array_equal(uploads.decode_image(data), PIXELS)


def test_a_mask_is_where_the_file_is_transparent() -> None:
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, :3, 3] = 255
    mask = uploads.decode_mask(written(Image.fromarray(pixels), "PNG"), 6, 4)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 0, 0, 255, 255, 255]] * 4


def test_a_mask_must_fit_its_image_and_have_transparency() -> None:
    with pytest.raises(InvalidRequest, match="40x24, but the image is 24x40"):
        uploads.decode_mask(PNG, 24, 40)
    with pytest.raises(InvalidRequest, match="no transparency"):
        uploads.decode_mask(JPEG, 40, 24)


FRAMES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
CMYK = RGB.convert("CMYK")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, I am a PNG", "not an image"),
        (written(RGB, "GIF"), "a GIF"),
        (written(RGB, "BMP"), "a BMP"),
        (written(RGB, "TIFF"), "a TIFF"),
        (written(RGB, "ICO"), "an icon"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"%PDF-1.7", "a PDF"),
        (written(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "animated"),
        (written(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]), "animated"),
        (written(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), "16 bits"),
        (written(CMYK, "JPEG"), "CMYK"),
        (png(60_000, 60_000), "at most"),
        (png(9000, 1), "at most"),
        (png(0, 5), "no pixels"),
        (png(2**31, 2**31), "at most"),
        (png(8, 8, colour=5), "colour type"),
        (png(8, 8, bytes(50_000_000)), "more than its size"),
        (png(2000, 2000, bytes(1000)), "cut off"),
        (PNG[:-4] + b"\0\0\0\0", "checksum"),
        (PNG[:8], "cut off"),
        (JPEG[:2] + JPEG[-2:], "no picture"),
        (JPEG[:3] + b"\xe0\x00\x04ab" + b"\xff\xd9", "damaged"),
        (b"RIFF\x0c\0\0\0WEBPVP8X", "damaged"),
        (b"RIFF\x04\0\0\0WEBP", "no picture"),
    ],
)
def test_what_is_refused_says_why_and_names_the_field(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        uploads.decode_image(data, "image[1]")
    assert refused.value.param == "image[1]"
    assert refused.value.message.startswith("image[1] ")


def test_a_thousand_scans_are_refused() -> None:
    scan = JPEG[JPEG.index(b"\xff\xda") : -2]
    with pytest.raises(InvalidRequest, match="too many scans"):
        uploads.decode_image(JPEG[:-2] + scan * 1000 + b"\xff\xd9")


def test_limits_are_the_callers() -> None:
    for limits in (UploadLimits(max_bytes=100), UploadLimits(max_pixels=959), UploadLimits(max_side=39)):
        with pytest.raises(InvalidRequest, match="at most"):
            uploads.decode_image(PNG, limits=limits)
    assert uploads.decode_image(PNG, limits=UploadLimits(max_pixels=960, max_side=40)).shape == (24, 40, 4)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True})],
)
def test_a_file_cut_off_anywhere_is_refused(kind: str, options: dict[str, object]) -> None:
    data = written(RGB.crop((0, 0, 9, 5)), kind, **options)
    assert uploads.decode_image(data).shape == (5, 9, 3)
    for length in range(len(data)):
        with pytest.raises(InvalidRequest):
            uploads.decode_image(data[:length])


@settings(max_examples=150)
@given(st.sampled_from([PNG, JPEG, WEBP]), st.data())
def test_damage_anywhere_is_refused_or_harmless(data: bytes, chance: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(chance.draw(st.integers(1, 4))):
        damaged[chance.draw(st.integers(0, len(data) - 1))] = chance.draw(st.integers(0, 255))
    try:
        pixels = uploads.decode_image(bytes(damaged))
    except InvalidRequest:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] in (3, 4)


ZEROS = zlib.compress(bytes(60_000_000))
BOMBS = {
    "text that inflates": png(8, 8, bytes(8 * 25), chunk(b"zTXt", b"a\0\0" + ZEROS)),
    "profile that inflates": png(8, 8, bytes(8 * 25), chunk(b"iCCP", b"a\0\0" + ZEROS)),
    "pixels that inflate": png(8, 8, bytes(60_000_000)),
    "pixels that are missing": png(3000, 2700, bytes(1000), colour=6),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_no_memory(name: str) -> None:
    tracemalloc.start()
    try:
        uploads.decode_image(BOMBS[name])
    except InvalidRequest:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 << 20
