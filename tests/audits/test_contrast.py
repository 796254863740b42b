"""Words on our pages can be read by those who see little: WCAG 2.2 asks for 4.5:1, of controls for 3:1."""

import re
from importlib import resources

import pytest

REVIEW = (resources.files("audits.review") / "page.css").read_text()
REPORT = (resources.files("loadtests.report") / "page.css").read_text() + (
    resources.files("audits.report") / "page.css"
).read_text()

_WORDS = [(name, ground) for name in ("ink", "soft", "good", "bad") for ground in ("paper", "back")]
REVIEW_PAIRS = [
    *((name, ground, 4.5) for name, ground in _WORDS),
    *((name, "paper", 4.5) for name in ("fix", "strong")),
    *(("on-strong", ground, 4.5) for ground in ("strong", "good", "fix")),
    *(("control", ground, 3.0) for ground in ("paper", "back")),
    *(("ring", ground, 3.0) for ground in ("paper", "back")),
]
REPORT_PAIRS = [
    *((name, ground, 4.5) for name, ground in _WORDS),
    ("paper", "good", 4.5),
    ("c0", "back", 3.0),
]


def colours(css: str, dark: bool) -> dict[str, str]:
    light, found = re.compile(r":root\s*\{([^}]*)\}"), {}
    scheme = re.compile(r"prefers-color-scheme: dark\) \{ :root \{([^}]*)\}")
    dark_texts = scheme.findall(css)
    for text in light.findall(css):
        if dark or text not in dark_texts:
            found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", text))
    return found


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_right_on_known_colours():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("css", "pairs"), [(REVIEW, REVIEW_PAIRS), (REPORT, REPORT_PAIRS)], ids=["review", "report"]
)
def test_words_stand_out(css, pairs, dark):
    known = colours(css, dark)
    weak = {
        (name, ground): round(contrast(known[name], known[ground]), 2)
        for name, ground, least in pairs
        if contrast(known[name], known[ground]) < least
    }
    assert weak == {}
