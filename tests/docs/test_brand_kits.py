"""docs/brand-kits.md agrees with the code."""

from pathlib import Path

import yaml

from deployments.types import Encoding, ImageFormat, RenderRequest
from deployments.typesetter.brand import BrandFile, load_brand_kits
from deployments.typesetter.fonts import BUNDLED_FAMILIES, FontLibrary
from deployments.typesetter.layout import Corner
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.spec import TypesetterSpec
from tests.docs.pages import blocks, names, read, rows, section
from tests.docs.test_configuration import _default

TEXT = read("docs/brand-kits.md")
CONFIG, KIT, CHINESE = blocks(TEXT, "yaml")
[LOGO] = blocks(TEXT, "svg")


def folder_of(tmp_path: Path) -> Path:
    (tmp_path / "acme.yaml").write_text(KIT, "utf-8")
    (tmp_path / "acme.svg").write_text(LOGO, "utf-8")
    return tmp_path


def test_the_kit_loads_and_shows_every_key(tmp_path: Path) -> None:
    kit = load_brand_kits(folder_of(tmp_path), BUNDLED_FAMILIES)["acme"]
    assert set(yaml.safe_load(KIT)) == set(BrandFile.model_fields)
    assert (kit.tokens["sun"].hex, kit.file.corner) == ("#ffd23f", Corner.ROUNDED)


async def test_what_the_kit_says_is_what_is_drawn(tmp_path: Path) -> None:
    model = TypesetterModel("words", TypesetterSpec(kind="typesetter", brand_kits=folder_of(tmp_path)))
    await model.load()
    prompt = 'a banner for brand acme that says "Spring"'
    request = RenderRequest("r", prompt, 480, 240, seed=1, encoding=Encoding(ImageFormat.SVG))
    result = await model.render(request)
    svg = result.image.data.decode()  # type: ignore[union-attr]
    assert result.receipt.details["fonts"] == ["Archivo"]
    assert 'd="M44 6h60v6H44zM44 20h40v6H44z"' in svg


def test_keys_and_defaults() -> None:
    documented = {names(row[0])[0]: row[1] for row in rows(section(TEXT, "A kit").own)}
    fields = {name: _default(field) for name, field in BrandFile.model_fields.items()}
    assert documented == fields


def test_bundled_families() -> None:
    library = FontLibrary()
    documented = {names(row[0])[0]: row[2] for row in rows(section(TEXT, "Typefaces").own)}
    assert tuple(documented) == BUNDLED_FAMILIES == library.families
    for family, weights in documented.items():
        axes = {axis.tag: axis for axis in library._faces[family].axis_infos}
        said = f"{axes['wght'].min_value:g} to {axes['wght'].max_value:g}" if axes else "700"
        assert weights == said


def test_the_configs_are_those_of_a_typesetter() -> None:
    for text in (CONFIG, CHINESE):
        [spec] = yaml.safe_load(text)["models"].values()
        assert TypesetterSpec.model_validate(spec).fonts == Path("/etc/atelier/fonts")
