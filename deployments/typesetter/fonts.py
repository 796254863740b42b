"""The typefaces text may be set in: bundled or configured, opened once, with what they cover.

Knows files, coverage and glyph outlines; knows nothing of lines, boxes or colours. Fonts of the machine
are never used, so that a text looks the same everywhere.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import uharfbuzz as hb

BUNDLED_FOLDER = Path(__file__).parent / "fonts"
DEFAULT_FAMILY = "Inter"
BUNDLED_FAMILIES = ("Inter", "Archivo", "NotoSansArabic", "Heebo", "NotoSansJP-Bold")
DISPLAY_OPTICAL_SIZE = 32.0
TEXT_OPTICAL_SIZE = 14.0
FONT_SUFFIXES = (".ttf", ".otf")


@dataclass(frozen=True, slots=True)
class GlyphInk:
    """Bounds of an outline in em, y upwards. All zero for a space."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def is_empty(self) -> bool:
        return self.left == self.right or self.bottom == self.top


class Font:
    """One face at one weight. Immutable after construction: shared between threads."""

    def __init__(
        self, family: str, face: "hb.Face", weight: int, optical_size: float, coverage: frozenset[int]
    ) -> None:
        self.family = family
        self.weight = weight
        self.coverage = coverage
        self.units_per_em: int = face.upem
        self.shaper = hb.Font(face)
        axes = {axis.tag: axis for axis in face.axis_infos}
        wanted = {"wght": float(weight), "opsz": optical_size}
        variations = {
            tag: min(max(value, axes[tag].min_value), axes[tag].max_value)
            for tag, value in wanted.items()
            if tag in axes
        }
        if variations:
            self.shaper.set_variations(variations)
        extents = self.shaper.get_font_extents("ltr")
        self.ascent = extents.ascender / self.units_per_em
        self.descent = -extents.descender / self.units_per_em
        self.cap_height = self._metric("cpht", fallback=0.7)
        self._outlines: dict[int, str] = {}
        self._ink: dict[int, GlyphInk] = {}

    def covers(self, characters: Iterable[str]) -> bool:
        return all(ord(character) in self.coverage for character in characters)

    def outline(self, glyph_id: int) -> str:
        """SVG path data in font units, y upwards. Empty for a space."""
        if glyph_id not in self._outlines:
            segments: list[str] = []
            self.shaper.draw_glyph(glyph_id, _draw_funcs(), segments)
            self._outlines[glyph_id] = "".join(segments)
        return self._outlines[glyph_id]

    def ink(self, glyph_id: int) -> GlyphInk:
        if glyph_id not in self._ink:
            extents = self.shaper.get_glyph_extents(glyph_id)
            left, top = extents.x_bearing, extents.y_bearing
            right, bottom = left + extents.width, top + extents.height
            em = self.units_per_em
            self._ink[glyph_id] = GlyphInk(left / em, bottom / em, right / em, top / em)
        return self._ink[glyph_id]

    def _metric(self, tag: str, fallback: float) -> float:
        value = self.shaper.get_metric_position(hb.OTMetricsTag.CAP_HEIGHT) if tag == "cpht" else None
        return value / self.units_per_em if value else fallback


FontStack = Sequence[Font]
"""Fonts in order of preference: each character takes the first that has it."""


class FontLibrary:
    """Every face a typesetter may use, by family name (its file's name without the suffix)."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """`folders` hold further .ttf and .otf files, which replace bundled families of the same name."""
        files = {name: _bundled_file(name) for name in BUNDLED_FAMILIES}
        for folder in folders:
            found = sorted(path for path in folder.iterdir() if path.suffix.lower() in FONT_SUFFIXES)
            files.update({path.stem: path for path in found})
        data = {family: path.read_bytes() for family, path in files.items()}
        digest = hashlib.sha256()
        for family in sorted(data):
            digest.update(family.encode() + b"\0" + hashlib.sha256(data[family]).digest())
        self.digest = digest.hexdigest()
        self._faces = {family: hb.Face(content) for family, content in data.items()}
        self._coverage = {family: frozenset(face.unicodes) for family, face in self._faces.items()}
        self._fonts: dict[tuple[str, int, float], Font] = {}

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self._faces)

    def font(self, family: str, weight: int, optical_size: float = DISPLAY_OPTICAL_SIZE) -> Font:
        """`optical_size` picks sturdier, wider set letters for small text where a face has that axis."""
        key = (family, weight, optical_size)
        if key not in self._fonts:
            coverage = self._coverage[family]
            self._fonts[key] = Font(family, self._faces[family], weight, optical_size, coverage)
        return self._fonts[key]

    def stack(self, family: str, weight: int, optical_size: float = DISPLAY_OPTICAL_SIZE) -> FontStack:
        """`family` first, then every other one, so that whatever any face covers can be set."""
        others = [name for name in (DEFAULT_FAMILY, *self.families) if name != family]
        return [self.font(name, weight, optical_size) for name in dict.fromkeys([family, *others])]


def _bundled_file(family: str) -> Path:
    return next(path for suffix in FONT_SUFFIXES if (path := BUNDLED_FOLDER / f"{family}{suffix}").exists())


@lru_cache(maxsize=1)
def _draw_funcs() -> Any:
    functions = hb.DrawFuncs()
    functions.set_move_to_func(lambda x, y, out: out.append(f"M{x:g} {y:g}"))
    functions.set_line_to_func(lambda x, y, out: out.append(f"L{x:g} {y:g}"))
    functions.set_quadratic_to_func(lambda cx, cy, x, y, out: out.append(f"Q{cx:g} {cy:g} {x:g} {y:g}"))
    functions.set_cubic_to_func(
        lambda ax, ay, bx, by, x, y, out: out.append(f"C{ax:g} {ay:g} {bx:g} {by:g} {x:g} {y:g}")
    )
    functions.set_close_path_func(lambda out: out.append("Z"))
    return functions
