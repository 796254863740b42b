"""Fetches the typefaces this package bundles and writes them beside this file, each with its licence.

Run by hand when a typeface is added or updated (needs `pip`, `apt-get` and fonttools); the result is
committed. Latin, Greek, Cyrillic, Arabic and Hebrew faces are kept whole. The Japanese face is cut down
to what Japanese text uses: kana, the kanji of JIS X 0208 (levels 1 and 2), punctuation and full-width forms.
"""

# mypy: disable-error-code="import-untyped,import-not-found"

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).parent

# package==version, face inside it, name here
FONTPKG_FACES = (
    ("fontpkg-inter==4.1.post1", "Inter[opsz,wght].ttf", "Inter"),
    ("fontpkg-archivo==2.1", "Archivo[wdth,wght].ttf", "Archivo"),
    ("fontpkg-noto-sans-arabic==2.12", "NotoSansArabic[wdth,wght].ttf", "NotoSansArabic"),
    ("fontpkg-heebo==3.100", "Heebo[wght].ttf", "Heebo"),
)
CJK_PACKAGE = "fonts-noto-cjk"
CJK_COLLECTION = "usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"
CJK_COPYRIGHT = "usr/share/doc/fonts-noto-cjk/copyright"
JAPANESE_FACE_INDEX = 0


def japanese_characters() -> set[int]:
    """JIS X 0208 by way of its EUC encoding, and the punctuation modern text adds to it."""
    characters = {*range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x3000, 0x3100), *range(0x31F0, 0x3200)}
    characters |= {*range(0x2010, 0x2040), *range(0xFF00, 0xFFF0), *range(0x2460, 0x2474)}
    for row in range(0xA1, 0xF5):
        for cell in range(0xA1, 0xFF):
            decoded = bytes((row, cell)).decode("euc_jp", errors="ignore")
            characters.update(map(ord, decoded))
    return characters


def fetch_fontpkg(requirement: str, face: str, name: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, requirement], check=True)
    distribution = requirement.split("==")[0].replace("-", "_")
    (wheel,) = folder.glob(f"{distribution}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (HERE / f"{name}.ttf").write_bytes(archive.read(f"{distribution}/files/{face}"))
        (HERE / f"{name}.OFL.txt").write_bytes(archive.read(f"{distribution}/LICENSE"))


def fetch_japanese(folder: Path) -> None:
    subprocess.run(["apt-get", "download", "--quiet", CJK_PACKAGE], cwd=folder, check=True)
    (package,) = folder.glob(f"{CJK_PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    font = TTFont(folder / CJK_COLLECTION, fontNumber=JAPANESE_FACE_INDEX)
    options = subset.Options(desubroutinize=True, hinting=False, notdef_outline=True)
    options.layout_features = ["ccmp", "kern", "liga", "locl", "mark", "mkmk"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=japanese_characters())
    subsetter.subset(font)
    font.save(HERE / "NotoSansJP-Bold.otf")
    (HERE / "NotoSansJP-Bold.OFL.txt").write_bytes((folder / CJK_COPYRIGHT).read_bytes())


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for requirement, face, target in FONTPKG_FACES:
            fetch_fontpkg(requirement, face, target, Path(name))
        fetch_japanese(Path(name))


if __name__ == "__main__":
    main()
