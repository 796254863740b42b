"""Which words of a prompt a small model does not know, from the vocabulary that lies beside its weights.

A model without such a file makes no claim. Knows nothing of how the model was trained.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "vocabulary.json"
SCHEMA_VERSION = 1
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class PromptCoverage:
    """`known_ratio` is the share of the prompt's words that mean something to the model, 1.0 for none."""

    things: tuple[str, ...]
    unknown: tuple[str, ...]
    known_ratio: float

    def as_json(self) -> dict[str, Any]:
        return {
            "things": list(self.things),
            "unknown": list(self.unknown),
            "known_ratio": round(self.known_ratio, 3),
        }


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`things`: phrases of up to `longest` words, and the thing each names; `words` are understood singly."""

    things: dict[str, str]
    words: frozenset[str]
    longest: int

    def coverage(self, prompt: str) -> PromptCoverage:
        """The longest phrases count first."""
        words = _WORD.findall(prompt.lower())
        things: list[str] = []
        unknown: list[str] = []
        at = 0
        while at < len(words):
            for length in range(min(self.longest, len(words) - at), 0, -1):
                thing = self.things.get(" ".join(words[at : at + length]))
                if thing is not None:
                    things.append(thing)
                    at += length
                    break
            else:
                if words[at] not in self.words:
                    unknown.append(words[at])
                at += 1
        ratio = 1.0 - len(unknown) / len(words) if words else 1.0
        return PromptCoverage(tuple(dict.fromkeys(things)), tuple(dict.fromkeys(unknown)), ratio)


def read_vocabulary(weights: str) -> Vocabulary | None:
    """None where the folder has none. Raises ValueError for a file of another schema."""
    file = Path(weights) / FILE
    if not file.is_file():
        return None
    content = json.loads(file.read_text("utf-8"))
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"{FILE} has schema_version {content.get('schema_version')!r}, not {SCHEMA_VERSION}")
    things: dict[str, str] = content["things"]
    singles = (*content["styles"], *content["backgrounds"], *content["paints"])
    return Vocabulary(
        things=things,
        words=frozenset((*singles, *content["understood_without_effect"])),
        longest=max((len(phrase.split()) for phrase in things), default=1),
    )
