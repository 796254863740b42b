"""Prompts like `a green ui-badge that says "SALE 50%"` to a Layout, and back to a prompt without words.

Text to set is what stands in quotes, or follows "says", "saying", "reading", "titled" and the like to the
end of the sentence. Several quoted texts are several lines. `*stars*` inside quotes mark emphasis. Without
any, the subject itself is set in title case (`a red poster about summer jazz` -> "Summer Jazz").
English only: a caller in another language quotes the text or sends a structured layout.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from deployments import errors
from deployments.typesetter.colour import named_colours
from deployments.typesetter.icons import find_icon
from deployments.typesetter.layout import MAX_CHARACTERS, Anchor, Corner, Kind, Layout, Line, Role

_QUOTED = re.compile(
    r"\"([^\"]*)\"|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»|「([^」]*)」|『([^』]*)』|‘([^’]*(?:’\w[^’]*)*)’"
    r"|(?<![\w'])'((?:[^']|'(?=\w))*)'(?!\w)"
)
_SAYS = re.compile(
    r"\b(?:that\s+says?|which\s+says?|says|saying|that\s+reads?|reading|with\s+the\s+(?:text|words?|title|headline|caption)"
    r"|titled|labell?ed|captioned|text:|words:|title:)\s*:?\s+(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_MARK = "\0"
_ABOUT_THE_MARK = re.compile(
    r"(?:\b(?:(?:that|which)\s+(?:says?|reads?)|says|saying|reading|reads|titled|labell?ed|captioned|called|named"
    r"|(?:and\s+)?with(?:\s+(?:the|an?))?(?:\s+(?:big|bold|small|large))?"
    r"(?:\s+(?:text|words?|title|headline|caption|subtitle|slogan|label|lettering|subheading))?"
    r"|and\s+(?:the|an?)\s+(?:text|words?|title|headline|caption|subtitle|slogan|label|subheading))\s*:?\s*)?"
    rf"{_MARK}(?:\s*(?:,|&|and|or)?\s*{_MARK})*(?:\s+(?:on|in|over|across)\s+it\b)?",
    re.IGNORECASE,
)
_KIND_WORDS: tuple[tuple[str, Kind], ...] = (
    (r"(?:ui[-\s])?badges?|stickers?|stamps?|seals?", Kind.BADGE),
    (r"pills?|chips?", Kind.PILL),
    (r"buttons?|cta", Kind.BUTTON),
    (r"banners?|headers?|hero", Kind.BANNER),
    (r"labels?|(?:price[-\s])?tags?", Kind.LABEL),
    (r"posters?|flyers?|covers?|title\s+cards?", Kind.POSTER),
    (r"cards?|tiles?", Kind.CARD),
)
_CORNER_WORDS = (
    (r"(?:sharp|square|straight)(?:[-\s]+corner(?:s|ed)?)", Corner.SQUARE),
    (r"(?:fully[-\s]rounded|round|circular)(?:[-\s]+corner(?:s|ed)?)", Corner.ROUND),
    (r"rounded(?:[-\s]+corner(?:s|ed)?)?", Corner.ROUNDED),
)
_ANCHOR_WORDS = re.compile(
    r"\b(?:in|at|on)\s+the\s+(top|upper|bottom|lower)?[-\s]?(left|right|center|centre|middle|top|bottom)\b"
    r"(?:\s+corner)?",
    re.IGNORECASE,
)
_ICON_WORDS = re.compile(r"\b(?:with\s+)?(?:an?\s+)?([a-z]+(?:[-\s][a-z]+)?)\s+icon\b", re.IGNORECASE)
_INK_WORDS = re.compile(r"\b([a-z]+|#[0-9a-f]{3,6})\s+(?:text|letters|lettering|ink|type)\b", re.IGNORECASE)
_ON_PAGE = re.compile(
    r"\bon\s+(?:an?\s+)?([a-z]+|#[0-9a-f]{3,6})\s+(?:background|page|canvas)\b", re.IGNORECASE
)
_BRAND_WORDS = re.compile(r"\bbrand[:=\s]+([a-z0-9][a-z0-9_-]*)", re.IGNORECASE)
_HEX = re.compile(r"#(?:[0-9a-f]{6}|[0-9a-f]{3})\b", re.IGNORECASE)
_EMPHASIS = re.compile(r"\*+([^*]+)\*+")
_FILLER = frozenset(
    re.findall(
        r"\w+",
        """
        a an the of for about with and in on at to by from some please make create design draw render generate
        me us my our ui simple modern nice clean bold big small large flat minimal minimalist vector glossy
        shiny beautiful pretty sleek elegant retro style styled new background text corner corners rounded
        square round icon announcing showing featuring advertising promoting
        """,
    )
)
_MAX_SUBJECT_WORDS = 6
_SHEET_KINDS = frozenset({Kind.POSTER, Kind.BANNER, Kind.CARD})


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """`text_source` says where the words came from: "quoted", "said" or "subject"."""

    layout: Layout
    text_source: str


def parse_prompt(
    prompt: str, default_kind: Kind = Kind.BADGE, colour_tokens: Collection[str] = ()
) -> ParsedPrompt:
    """Raises InvalidRequest when there is nothing to set. Never raises for words it does not know."""
    quoted = [next(g for g in m.groups() if g is not None) for m in _QUOTED.finditer(prompt)]
    rest = strip_text(prompt)
    if any(not text.strip() for text in quoted):
        raise errors.InvalidRequest(
            "the quoted text is empty: put the words to set between the quotes", "prompt"
        )
    if quoted:
        texts, source = quoted, "quoted"
    elif said := _SAYS.search(prompt):
        texts, source = [_end_of_saying(said.group(1))], "said"
    else:
        texts, source = [_subject(rest)], "subject"
    lines = _lines(texts)
    if not lines:
        raise errors.InvalidRequest(
            'there is no text to set: put it in quotes, as in a badge that says "NEW"', "prompt"
        )
    attributes = _attributes(rest, default_kind, colour_tokens)
    if attributes["kind"] in _SHEET_KINDS and not any(line.emphasis for line in lines):
        lines = [lines[0], *(line.model_copy(update={"role": Role.BODY}) for line in lines[1:])]
    return ParsedPrompt(Layout(lines=tuple(lines), **attributes), source)


def says_words(prompt: str) -> bool:
    """Whether it quotes words or introduces them (`that says …`), rather than only being about something."""
    return bool(_QUOTED.search(prompt) or _SAYS.search(prompt))


def strip_text(prompt: str) -> str:
    """`prompt` without the words to be set, for a model that paints the picture under them."""
    if _QUOTED.search(prompt):
        marked = _QUOTED.sub(_MARK, prompt.replace(_MARK, " "))
        rest = _ABOUT_THE_MARK.sub(" ", marked)
    else:
        rest = _SAYS.sub(" ", prompt)
    rest = re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", rest))
    rest = re.sub(r"([,;])(?:\s*[,;])+", r"\1", rest)
    return rest.strip(" ,;:-")


def _end_of_saying(text: str) -> str:
    """Up to the end of the sentence, or to a clause that goes on about the looks."""
    return re.split(
        r"(?<=[^\d\s])[.;](?:\s|$)|\n{2,}|,?\s+(?:in|on|with|using)\s+(?:an?\s+|the\s+)?\w+\s+"
        r"(?:text|letters|font|background|style|icon|corner|page)",
        text.strip(),
        maxsplit=1,
    )[0].strip()


def _lines(texts: list[str]) -> list[Line]:
    pieces = [piece.strip() for text in texts for piece in re.split(r"\r?\n|\\n|\s+/\s+|<br>", text)]
    lines: list[Line] = []
    for piece in filter(None, pieces):
        if len(piece) > MAX_CHARACTERS:
            raise errors.InvalidRequest(
                f"a line of {len(piece)} characters is too long to set: {MAX_CHARACTERS} is the limit",
                "prompt",
            )
        lines += _emphasised(piece)
    return lines


def _emphasised(piece: str) -> list[Line]:
    """`Now *50%* off` is three lines, the middle one large."""
    lines: list[Line] = []
    position = 0
    for match in _EMPHASIS.finditer(piece):
        before = piece[position : match.start()].strip()
        lines += [Line(text=before)] if before else []
        lines.append(Line(text=match.group(1).strip(), emphasis=True))
        position = match.end()
    after = piece[position:].strip()
    return lines + ([Line(text=after)] if after else [])


def _subject(rest: str) -> str:
    colours = named_colours()
    words = re.findall(r"[^\W_]+(?:['’&-][^\W_]+)*", rest)
    kinds = re.compile("|".join(pattern for pattern, _ in _KIND_WORDS), re.IGNORECASE)
    kept = [w for w in words if w.lower() not in _FILLER | colours and not kinds.fullmatch(w)]
    return " ".join(
        word if word.isupper() else word[:1].upper() + word[1:] for word in kept[:_MAX_SUBJECT_WORDS]
    )


def _attributes(rest: str, default_kind: Kind, colour_tokens: Collection[str]) -> dict[str, Any]:
    colours = named_colours() | set(colour_tokens)
    found: dict[str, Any] = {"kind": _kind(rest) or default_kind}
    if (match := _INK_WORDS.search(rest)) and _is_colour(match.group(1), colours):
        found["ink"] = match.group(1).lower()
        rest = rest.replace(match.group(0), " ")
    if (match := _ON_PAGE.search(rest)) and _is_colour(match.group(1), colours):
        found["page"] = match.group(1).lower()
        rest = rest.replace(match.group(0), " ")
    if match := _BRAND_WORDS.search(rest):
        found["brand"] = match.group(1).lower()
        rest = rest.replace(match.group(0), " ")
    words = [*_HEX.findall(rest), *(w for w in re.findall(r"[a-z0-9_-]+", rest.lower()) if w in colours)]
    if words:
        found["fill"] = words[0].lower()
    if len(words) > 1:
        found["accent"] = words[1].lower()
    found |= _corner_anchor_icon(rest)
    return found


def _corner_anchor_icon(rest: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if match := _ANCHOR_WORDS.search(rest):
        vertical = {"upper": "top", "lower": "bottom"}.get(
            (match.group(1) or "").lower(), (match.group(1) or "").lower()
        )
        horizontal = {"centre": "center", "middle": "center"}.get(
            match.group(2).lower(), match.group(2).lower()
        )
        name = "-".join(
            part for part in (vertical, horizontal) if part and not (vertical and part == "center")
        )
        if name in set(Anchor):
            found["anchor"] = Anchor(name)
    for pattern, corner in _CORNER_WORDS:
        if re.search(rf"\b{pattern}\b", rest, re.IGNORECASE):
            found["corner"] = corner
            break
    if match := _ICON_WORDS.search(rest):
        words = match.group(1).lower().split()
        named = next((n for n in ("-".join(words), words[-1]) if find_icon(n)), words[-1])
        found["icon"] = named
    return found


def _kind(rest: str) -> Kind | None:
    matches = [
        (match.start(), kind)
        for pattern, kind in _KIND_WORDS
        if (match := re.search(rf"\b(?:{pattern})\b", rest, re.IGNORECASE))
    ]
    return min(matches)[1] if matches else None


def _is_colour(word: str, colours: Collection[str]) -> bool:
    return word.lower() in colours or bool(_HEX.fullmatch(word))
