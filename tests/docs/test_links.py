"""What the pages point to is there."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from serve.cli import main
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, read

IDS = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    broken = [link for link in links(text) if "://" not in link and not _resolves(page, link)]
    assert broken == []


def _resolves(page: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not fragment or fragment in anchors(target.read_text("utf-8"))


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = {
            (page.parent / link.partition("#")[0]).resolve() for link in links(page.read_text("utf-8"))
        }
        waiting += [target for target in targets & set(PAGES) if target not in reached]
    assert sorted(set(PAGES) - reached) == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_commands_that_pages_name_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *blocks(text, r"\w*")])
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    commands = set(main.list_commands(None))  # type: ignore[arg-type, attr-defined]
    assert set(re.findall(r"^make ([a-z][a-z-]*)", code, re.MULTILINE)) <= targets
    assert set(re.findall(r"^(?:\.venv/bin/)?atelier ([a-z-]+)", code, re.MULTILINE)) <= commands


def test_the_picture_of_the_flow_has_a_ground_of_its_own() -> None:
    """Without one its dark lines would vanish on a dark page."""
    svg = ET.parse(ROOT / "docs" / "images" / "flow.svg").getroot()
    ground = next(iter(svg.iter("{http://www.w3.org/2000/svg}rect")))
    assert svg.get("viewBox") == f"0 0 {ground.get('width')} {ground.get('height')}"
    assert "x" not in ground.attrib
