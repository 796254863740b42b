"""Reads the project's Markdown: sections, tables, code blocks, links. Knows nothing of what they say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between a heading and the next one of its level or above; `own` ends at the next of any."""

    title: str
    text: str
    own: str


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def sections(text: str) -> Iterator[Section]:
    prose = without_code(text)
    headings = list(_HEADING.finditer(prose))
    for index, heading in enumerate(headings):
        later = headings[index + 1 :]
        level = len(heading[1])
        end = next((each.start() for each in later if len(each[1]) <= level), len(text))
        next_start = later[0].start() if later else len(text)
        yield Section(heading[2], text[heading.end() : end], text[heading.end() : next_start])


def section(text: str, title: str) -> Section:
    found = [each for each in sections(text) if each.title.replace("`", "") == title]
    assert len(found) == 1, f"{len(found)} sections are called {title!r}"
    return found[0]


def rows(text: str) -> list[list[str]]:
    """Cells of every table row, without heads and rules; backslashes before a bar are taken off."""
    lines = [line.strip() for line in without_code(text).splitlines()]
    table = [line for line in lines if line.startswith("|")]
    heads = {index - 1 for index, line in enumerate(table) if set(line) <= set("|-: ")}
    kept = [line for index, line in enumerate(table) if index not in heads and index - 1 not in heads]
    return [
        [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(line.strip("|"))] for line in kept
    ]


def names(text: str) -> list[str]:
    """What stands in backticks, in order."""
    return re.findall(r"`([^`\n]+)`", text)


def blocks(text: str, language: str = "") -> list[str]:
    """Contents of fenced code blocks whose fence names `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    return _LINK.findall(without_code(text))


def anchors(text: str) -> set[str]:
    """The fragments that GitHub gives to headings."""
    kept = (re.sub(r"[^\w\- ]", "", each.title.lower()) for each in sections(text))
    return {each.replace(" ", "-") for each in kept}


def without_code(text: str) -> str:
    """The text with code blocks blanked, so that positions stay."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return re.sub(r"^ *```.*?^ *```", blank, text, flags=re.DOTALL | re.MULTILINE)
