from pathlib import Path

import pytest

from deployments.typesetter.brand import load_brand_kits
from deployments.typesetter.colour import Colour
from deployments.typesetter.fonts import BUNDLED_FAMILIES
from deployments.typesetter.layout import Corner

ACME = """
name: acme
palette: {primary: "#0b5fff", sun: "#ffd23f"}
fill: primary
accent: sun
font: Archivo
weight: 800
corner: square
logo: acme.svg
"""
LOGO = '<?xml version="1.0"?><!-- made by hand --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 1"/>'


def write(folder: Path, content: str, name: str = "acme.yaml") -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    (folder / "acme.svg").write_text(LOGO, encoding="utf-8")
    (folder / "cut.svg").write_text(LOGO[:-3], encoding="utf-8")
    (folder / "page.svg").write_text("<html viewBox='0 0 1 1'/>", encoding="utf-8")
    (folder / "sizeless.svg").write_text("<svg><!-- viewBox --></svg>", encoding="utf-8")
    return folder


def test_a_kit_is_loaded_with_its_palette_and_logo(tmp_path: Path) -> None:
    kit = load_brand_kits(write(tmp_path, ACME), BUNDLED_FAMILIES)["acme"]
    assert kit.tokens["primary"] == Colour(0x0B, 0x5F, 0xFF)
    assert kit.file.corner is Corner.SQUARE
    assert kit.logo_svg is not None
    assert kit.logo_svg.startswith("<svg")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name: acme\nfil: red", "fil"),
        ("name: acme\npalette: {a: nocolour}", "'a'"),
        ("name: acme\nfill: nocolour", "fill: unknown colour 'nocolour'"),
        ("name: acme\nfont: Comic", "unknown font 'Comic': choose one of Inter"),
        ("name: acme\nlogo: missing.svg", "missing.svg"),
        ("name: Acme Inc", "name"),
        ("name: [", "acme.yaml"),
        ("name: acme\nradius_ratio: 0.7", "radius_ratio"),
        ("name: acme\nlogo: cut.svg", "logo 'cut.svg' is not XML"),
        ("name: acme\nlogo: page.svg", "logo 'page.svg' is not an <svg> with a viewBox"),
        ("name: acme\nlogo: sizeless.svg", "logo 'sizeless.svg' is not an <svg> with a viewBox"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"acme\.yaml") as failure:
        load_brand_kits(write(tmp_path, content), BUNDLED_FAMILIES)
    assert complaint in str(failure.value)


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ACME)
    write(tmp_path, ACME, "other.yaml")
    with pytest.raises(ValueError, match="'acme' is taken"):
        load_brand_kits(tmp_path, BUNDLED_FAMILIES)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        load_brand_kits(tmp_path / "nowhere", BUNDLED_FAMILIES)
