"""Chinese, Japanese and Korean: which face sets them, what a configured one adds, what is missing without."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from deployments import errors
from deployments.types import Encoding, RenderRequest, RenderResult
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.shaping import shape_line, with_one_east_asian_face
from deployments.typesetter.spec import TypesetterSpec

CHINESE, KOREAN = "优惠券限时，", "할인세일 "


def face(characters: str, path: Path) -> None:
    """A font of squares: real tables, no art."""
    glyphs = {".notdef": 0, **{f"u{ord(each):04X}": ord(each) for each in characters}}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({code: name for name, code in glyphs.items() if code})
    pen = TTGlyphPen(None)
    for number, corner in enumerate([(80, -60), (80, 820), (920, 820), (920, -60)]):
        (pen.lineTo if number else pen.moveTo)(corner)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyf(dict.fromkeys(glyphs, square))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 80)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupOS2(sTypoAscender=880, sTypoDescender=-120, sCapHeight=730)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupPost()
    builder.save(path)


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fonts")
    face(CHINESE, folder / "SquareSC.ttf")
    face(KOREAN, folder / "SquareKR.ttf")
    return folder


async def typeset(prompt: str, fonts: Path | None = None) -> RenderResult:
    model = TypesetterModel("typography", TypesetterSpec(kind="typesetter", fonts=fonts))
    await model.load()
    return await model.render(RenderRequest("r", prompt, 320, 200, seed=1, encoding=Encoding()))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("优惠券", r"优 \(U\+4F18 CJK UNIFIED IDEOGRAPH-4F18\)"),
        ("할인", r"할 \(U\+D560 HANGUL SYLLABLE HAL\), 인"),
    ],
)
async def test_without_a_font_for_them_missing_characters_are_named(text: str, named: str) -> None:
    with pytest.raises(errors.Unsupported, match=named):
        await typeset(f'badge "{text}"')


@pytest.mark.parametrize(
    ("text", "faces"),
    [
        ("优惠券", ["SquareSC"]),  # 惠 and 券 are Japanese too
        ("限时，", ["SquareSC"]),
        ("할인 50%", ["Inter", "SquareKR"]),
        ("税込セール", ["NotoSansJP-Bold"]),
        ("惠", ["NotoSansJP-Bold"]),
        ("New 优惠", ["Inter", "SquareSC"]),
    ],
)
async def test_a_text_takes_one_face_that_has_all_of_it(fonts: Path, text: str, faces: list[str]) -> None:
    result = await typeset(f'badge "{text}"', fonts)
    assert result.receipt.details["fonts"] == faces


def test_the_face_asked_for_still_sets_what_is_not_east_asian(fonts: Path) -> None:
    stack = FontLibrary([fonts]).stack("Archivo", 700)
    text = "Sale 优惠券"
    used = [glyph.font.family for glyph in shape_line(text, with_one_east_asian_face(text, stack)).glyphs]
    assert used == ["Archivo"] * 4 + ["Archivo"] + ["SquareSC"] * 3


def test_numbers_that_begin_a_line_take_the_face_of_what_follows() -> None:
    glyphs = shape_line("6月14日", FontLibrary().stack("Inter", 700)).glyphs
    assert {glyph.font.family for glyph in glyphs} == {"NotoSansJP-Bold"}
    assert [glyph.cluster for glyph in glyphs] == [0, 1, 2, 3, 4]
    latin = shape_line("6 June", FontLibrary().stack("Inter", 700)).glyphs
    assert {glyph.font.family for glyph in latin} == {"Inter"}
