import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deployments import errors
from deployments.typesetter.fonts import BUNDLED_FOLDER, FontLibrary
from deployments.typesetter.shaping import (
    clusters,
    missing_characters,
    prepare,
    require_coverage,
    shape_line,
)

STACK = FontLibrary().stack("Inter", 700)


def families(text: str) -> list[str]:
    return list(dict.fromkeys(glyph.font.family for glyph in shape_line(text, STACK).glyphs))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe", ["Inter"]),
        ("Ελλάδα Привет", ["Inter"]),
        ("خصم اليوم", ["NotoSansArabic"]),
        ("שלום", ["Heebo"]),
        ("税込セール", ["NotoSansJP-Bold"]),
        ("New 税込", ["Inter", "NotoSansJP-Bold"]),
    ],
)
def test_each_script_takes_the_first_face_that_covers_it(text: str, expected: list[str]) -> None:
    assert families(text) == expected


def test_letters_are_kerned() -> None:
    pair = shape_line("AV", STACK).advance
    assert pair < shape_line("A", STACK).advance + shape_line("V", STACK).advance - 0.02


def test_arabic_letters_join() -> None:
    """A letter between others has another shape than alone."""
    alone = {glyph.glyph_id for glyph in shape_line("ه", STACK).glyphs}
    joined = {glyph.glyph_id for glyph in shape_line("ههه", STACK).glyphs}
    assert not alone & joined


def test_right_to_left_runs_start_at_the_right() -> None:
    glyphs = shape_line("אבג", STACK).glyphs
    first_letter = next(glyph for glyph in glyphs if glyph.cluster == 0)
    assert first_letter.x == max(glyph.x for glyph in glyphs)


def test_brackets_are_mirrored_in_right_to_left_text() -> None:
    hebrew = shape_line("(א)", STACK, base_level=1).glyphs
    latin = shape_line("(", STACK).glyphs[0]
    font = hebrew[0].font
    assert hebrew[0].glyph_id == font.shaper.get_nominal_glyph(ord("("))
    assert latin.x == 0.0


def test_a_combining_mark_adds_no_width_and_sits_above() -> None:
    plain, marked = shape_line("q", STACK), shape_line("q\u0301", STACK)
    assert marked.advance == pytest.approx(plain.advance)
    assert marked.ink.top > plain.ink.top + 0.05


def test_decomposed_text_is_composed() -> None:
    assert prepare("Cafe\u0301") == "Café"


def test_controls_go_and_white_space_becomes_spaces() -> None:
    assert prepare("a\u202eb\u2067c\u0000d\te\u3000f") == "abcd e f"


def test_missing_characters_are_named() -> None:
    assert missing_characters("a😀b龘😀", STACK) == ["😀", "龘"]
    with pytest.raises(errors.Unsupported, match=r"😀 \(U\+1F600 GRINNING FACE\)"):
        require_coverage("Sale 😀", STACK)


def test_a_mark_that_no_font_has_together_with_its_base_is_named_with_it() -> None:
    assert missing_characters("a\u0301 税\u0301", STACK) == ["税\u0301"]
    with pytest.raises(errors.Unsupported, match=r"U\+7A0E .* with U\+0301 COMBINING ACUTE ACCENT"):
        require_coverage("税\u0301", STACK)


@given(st.text(max_size=20))
def test_clusters_partition_any_text(text: str) -> None:
    spans = list(clusters(text))
    assert "".join(text[start:end] for start, end in spans) == text


@given(st.text(alphabet="abc ÄÖß אבج اب 税込1%.,()\u0301\u0308", max_size=24))
def test_every_glyph_has_an_outline_and_a_place_in_the_text(text: str) -> None:
    assume(not missing_characters(text, STACK))
    line = shape_line(text, STACK)
    for glyph in line.glyphs:
        assert glyph.glyph_id != 0
        assert 0 <= glyph.cluster < len(text)
    assert line.advance == pytest.approx(sum(glyph.advance for glyph in line.glyphs))


def test_every_bundled_face_comes_with_its_licence() -> None:
    faces = [path for path in BUNDLED_FOLDER.iterdir() if path.suffix in (".ttf", ".otf")]
    assert len(faces) >= 5
    for face in faces:
        licence = (BUNDLED_FOLDER / f"{face.stem}.OFL.txt").read_text(encoding="utf-8")
        assert "SIL" in licence
        assert "Copyright" in licence
