import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments import images
from deployments.raster import RasterLibrary, framed
from deployments.types import Encoding, ImageFormat


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "badges").mkdir()
    Image.new("RGB", (80, 40), (200, 30, 30)).save(tmp_path / "badges" / "sale.png")
    Image.new("RGBA", (16, 16), (0, 0, 255, 128)).save(tmp_path / "dot.webp", lossless=True)
    (tmp_path / "notes.txt").write_text("not an asset")
    return tmp_path


def test_every_picture_below_the_folder_is_loaded_by_its_path(folder: Path) -> None:
    library = RasterLibrary.load(folder)
    assert library.names == ("badges/sale.png", "dot.webp")
    asset = library.asset("badges/sale.png")
    assert (asset.image.width, asset.image.height, asset.image.format) == (80, 40, ImageFormat.PNG)
    assert "badges/sale.png" in library
    assert "badges/other.png" not in library


def test_an_asset_is_fitted_whole_and_centred(folder: Path) -> None:
    asset = RasterLibrary.load(folder).asset("badges/sale.png")
    image = asset.render(100, 100, Encoding(ImageFormat.PNG, transparent=True))
    pixels = images.decode(image.data)
    assert pixels.shape == (100, 100, 4)
    assert tuple(pixels[50, 50]) == (200, 30, 30, 255)
    assert pixels[10, 50, 3] == 0
    assert np.array_equal(pixels[25:75, :, 3], np.full((50, 100), 255))


def test_a_ground_for_words_is_the_asset_alone_as_large_as_it_is_shown(folder: Path) -> None:
    asset = RasterLibrary.load(folder).asset("badges/sale.png")
    ground = asset.scaled(100, 100)
    assert ground.shape == (50, 100, 4)
    shown = images.decode(asset.render(100, 100, Encoding(transparent=True)).data)
    assert np.array_equal(framed(ground, 100, 100), shown)


def test_the_file_itself_is_served_where_nothing_has_to_change(folder: Path) -> None:
    asset = RasterLibrary.load(folder).asset("dot.webp")
    served = asset.render(None, None, Encoding(ImageFormat.WEBP, transparent=True))
    assert served.data == (folder / "dot.webp").read_bytes()


def test_svg_is_answered_with_png(folder: Path) -> None:
    asset = RasterLibrary.load(folder).asset("badges/sale.png")
    assert asset.render(None, None, Encoding(ImageFormat.SVG)).format is ImageFormat.PNG


def test_a_receipt_says_that_nothing_was_generated(folder: Path) -> None:
    receipt = RasterLibrary.load(folder).asset("dot.webp").receipt(16, 16)
    assert receipt.details == {"generated": False, "asset": "dot.webp"}
    assert receipt.revision.startswith("raster-")


def test_revisions_follow_the_bytes(folder: Path) -> None:
    before = RasterLibrary.load(folder).asset("dot.webp").revision
    assert RasterLibrary.load(folder).asset("dot.webp").revision == before
    Image.new("RGB", (16, 16)).save(folder / "dot.webp")
    assert RasterLibrary.load(folder).asset("dot.webp").revision != before


def _truncated() -> bytes:
    target = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(target, "PNG")
    return target.getvalue()[:-300]


def _gif() -> bytes:
    target = io.BytesIO()
    Image.new("P", (4, 4)).save(target, "GIF")
    return target.getvalue()


def _vast() -> bytes:
    target = io.BytesIO()
    Image.new("1", (8192, 4096)).save(target, "PNG")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"plain text", "is not a picture"),
        (b"", "is not a picture"),
        (_truncated(), "cannot be decoded"),
        (_gif(), "is GIF: use one of PNG, JPEG, WEBP"),
        (_vast(), "over the limit"),
    ],
)
def test_a_bad_file_is_named_when_the_library_is_loaded(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"'bad\.png'") as failure:
        RasterLibrary.load(tmp_path)
    assert complaint in str(failure.value)


@pytest.mark.parametrize(
    ("path", "complaint"), [("missing.png", "does not exist"), ("../secret.png", "outside the folder")]
)
def test_paths_a_policy_names_are_checked(folder: Path, path: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RasterLibrary.load(folder, [path])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        RasterLibrary.load(tmp_path / "nowhere")
