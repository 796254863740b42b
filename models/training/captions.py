"""Captions for pictures, and which combinations training never sees.

A picture is a thing in a style, perhaps painted, on a background; a caption says some of that in varied
words. Knows nothing of pixels.
"""

import hashlib
import random
from dataclasses import dataclass
from typing import Final

from models.training.things import BACKGROUNDS, DEFAULT_BACKGROUND, PAINTS, STYLES, thing_words

HELD_OUT_RATIO: Final = 0.05

FILLERS: Final = (
    "cute",
    "nice",
    "little",
    "small",
    "big",
    "beautiful",
    "simple",
    "funny",
    "new",
    "old",
    "single",
)
MEDIA: Final = (
    "picture",
    "drawing",
    "illustration",
    "icon",
    "image",
    "emoji",
    "sticker",
    "clip art",
    "graphic",
)
OPENINGS: Final = ("", "", "", "", "please draw", "show me", "draw", "make", "i want", "my", "the", "one")

NATURAL_COLOURS: Final[dict[str, str]] = {
    "red-apple": "red",
    "strawberry": "red",
    "tomato": "red",
    "cherries": "red",
    "fire-engine": "red",
    "lady-beetle": "red",
    "lobster": "red",
    "hot-pepper": "red",
    "stop-sign": "red",
    "magnet": "red",
    "banana": "yellow",
    "lemon": "yellow",
    "cheese-wedge": "yellow",
    "baby-chick": "yellow",
    "sun": "yellow",
    "taxi": "yellow",
    "sunflower": "yellow",
    "crescent-moon": "yellow",
    "high-voltage": "yellow",
    "light-bulb": "yellow",
    "trumpet": "yellow",
    "carrot": "orange",
    "jack-o-lantern": "orange",
    "fox": "orange",
    "basketball": "orange",
    "tiger-face": "orange",
    "frog": "green",
    "cactus": "green",
    "broccoli": "green",
    "evergreen-tree": "green",
    "deciduous-tree": "green",
    "four-leaf-clover": "green",
    "crocodile": "green",
    "turtle": "green",
    "pear": "green",
    "snake": "green",
    "avocado": "green",
    "sauropod": "green",
    "dolphin": "blue",
    "spouting-whale": "blue",
    "jeans": "blue",
    "droplet": "blue",
    "fish": "blue",
    "water-wave": "blue",
    "blueberries": "blue",
    "grapes": "purple",
    "eggplant": "purple",
    "alien-monster": "purple",
    "smiling-face-with-horns": "purple",
    "pig-face": "pink",
    "flamingo": "pink",
    "brain": "pink",
    "bear": "brown",
    "monkey-face": "brown",
    "teddy-bear": "brown",
    "violin": "brown",
    "chocolate-bar": "brown",
    "briefcase": "brown",
    "swan": "white",
    "ghost": "white",
    "polar-bear": "white",
    "tooth": "white",
    "rabbit-face": "white",
    "cloud": "white",
    "snowman": "white",
    "volleyball": "white",
    "elephant": "grey",
    "mouse-face": "grey",
    "koala": "grey",
    "shark": "grey",
    "wolf": "grey",
    "rhinoceros": "grey",
    "bomb": "black",
    "top-hat": "black",
    "video-game": "black",
}
"""The colour people would name for a thing that is not painted: "a red apple"."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a picture shows. `paint` is a word of `PAINTS` or None for the natural colours."""

    thing: str
    style: str
    paint: str | None
    background: str


def is_held_out(thing: str, style: str, background: str) -> bool:
    """Whether no picture of this combination is ever trained on: 1 in 20, decided by its SHA-256."""
    digest = hashlib.sha256(f"{thing}/{style}/{background}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_RATIO * 2**32


def caption(subject: Subject, chance: random.Random) -> str:
    """One of the many ways to ask for `subject`; the style is left out in 3 of 20, white in 1 of 2."""
    words = _WORDS[subject.thing]
    name = words[0] if len(words) == 1 or chance.random() < 0.65 else chance.choice(words[1:])
    noun = _with_colour(name, subject, chance)
    if chance.random() < 0.12:
        noun = f"{chance.choice(FILLERS)} {noun}"
    style_place = chance.choices(("none", "before", "end", "medium"), (15, 30, 35, 20))[0]
    if style_place == "before":
        noun = f"{subject.style} {noun}"
    phrase = f"{_article(noun)} {noun}" if chance.random() < 0.75 else noun
    if style_place == "medium":
        medium = chance.choice(MEDIA)
        phrase = f"{_article(subject.style)} {subject.style} {medium} of {phrase}"
    elif chance.random() < 0.15:
        medium = chance.choice(MEDIA)
        phrase = f"{_article(medium)} {medium} of {phrase}"
    parts = [f"{chance.choice(OPENINGS)} {phrase}".strip()]
    if subject.background != DEFAULT_BACKGROUND or chance.random() < 0.5:
        parts.append(_background_phrase(subject.background, chance))
    if style_place == "end":
        parts.append(
            chance.choice((", {} style", " in {} style", ", {}", ", in a {} style")).format(subject.style)
        )
    return "".join(parts)


def plain_caption(subject: Subject) -> str:
    """The caption used for evaluation: "a red car on a blue background, flat style"."""
    noun = " ".join(filter(None, (subject.paint, _WORDS[subject.thing][0])))
    ground = f"{_article(subject.background)} {subject.background} background"
    return f"{_article(noun)} {noun} on {ground}, {subject.style} style"


def all_words() -> set[str]:
    """Every single word that `caption` can use; the tokenizer makes each of them one token."""
    texts = [w for words in _WORDS.values() for w in words]
    texts += [*FILLERS, *MEDIA, *OPENINGS, *STYLES, *PAINTS, *BACKGROUNDS]
    texts.append("a an of on in with style coloured background backdrop gray and is")
    return {word for text in texts for word in text.split()}


def _with_colour(name: str, subject: Subject, chance: random.Random) -> str:
    if subject.paint is not None:
        return f"{subject.paint} {name}"
    natural = NATURAL_COLOURS.get(subject.thing)
    return f"{natural} {name}" if natural and chance.random() < 0.15 else name


def _background_phrase(colour: str, chance: random.Random) -> str:
    colour = "gray" if colour == "grey" and chance.random() < 0.3 else colour
    forms = (" on {a} {c} background",) * 5 + (" with {a} {c} background", ", {c} background", " on {c}")
    return chance.choice(forms).format(a=_article(colour), c=colour)


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" and not phrase.startswith(("uf", "uni", "eu")) else "a"


_WORDS: Final = thing_words()
