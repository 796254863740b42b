"""A short text that a pattern is found in, and the literals every such text contains.

Reads the part of RE2's syntax that policies use; what it does not read has no example. Callers check an
example with RE2 before they rely on it.
"""

from dataclasses import dataclass, field

_CLASS_EXAMPLES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_ZERO_WIDTH = frozenset("bBAzG")
_CANDIDATES = "a0A -_.x9Zé"


class _Unread(Exception):
    """Syntax this module does not read."""


@dataclass(frozen=True, slots=True)
class Example:
    """`literals` are runs of text that every match contains. `whole` says that the pattern is nothing but its
    one literal. `any_case` that it ignores case."""

    text: str
    literals: tuple[str, ...]
    whole: bool
    any_case: bool

    def implies(self, other: "Example") -> bool:
        """Whether every text this pattern is found in certainly has the other pattern in it too."""
        if not other.whole or (self.any_case and not other.any_case):
            return False
        if not other.any_case:
            return any(other.text in literal for literal in self.literals)
        return other.text.isascii() and any(
            other.text.lower() in literal.lower() for literal in self.literals if literal.isascii()
        )


def example_of(pattern: str) -> Example | None:
    """None for a pattern whose syntax is not read here."""
    reader = _Reader(pattern)
    try:
        text = reader.alternation()
    except (_Unread, IndexError, ValueError):
        return None
    if reader.at < len(pattern):
        return None
    literals = () if reader.alternatives else tuple(run for run in reader.runs if run)
    whole = not reader.alternatives and not reader.special and literals == (text,)
    return Example(text, literals, whole, reader.any_case)


@dataclass(slots=True)
class _Reader:
    pattern: str
    at: int = 0
    depth: int = 0
    alternatives: bool = False
    special: bool = False
    any_case: bool = False
    runs: list[str] = field(default_factory=lambda: [""])

    def alternation(self) -> str:
        first = self._concatenation()
        while self._peek() == "|":
            self.at += 1
            if self.depth == 0:
                self.alternatives = True
            self._concatenation()
        return first

    def _concatenation(self) -> str:
        text = ""
        while self._peek() not in ("", "|", ")"):
            atom, literal = self._atom()
            least = self._quantifier()
            text += atom * (1 if least is None else least)
            if self.depth == 0:
                if literal and least is None:
                    self.runs[-1] += atom
                else:
                    self.special = True
                    self.runs.append("")
        return text

    def _atom(self) -> tuple[str, bool]:
        """An example of the next atom, and whether it stands for itself."""
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._class(), False
            case ".":
                return "x", False
            case "^" | "$":
                return "", False
            case "\\":
                return self._escape()
        return character, True

    def _group(self) -> tuple[str, bool]:
        if self._peek() == "?":
            self.at += 1
            if self._peek() in ("P", "<"):
                self.at = self.pattern.index(">", self.at) + 1
            elif self._flags():
                return "", True
        self.depth += 1
        text = self.alternation()
        self.depth -= 1
        if self._next() != ")":
            raise _Unread
        return text, False

    def _flags(self) -> bool:
        """Reads `i)`, `i:` or `:`; whether the group ended with it."""
        end = self.at
        while self.pattern[end] not in ":)":
            end += 1
        flags = self.pattern[self.at : end]
        self.at = end + 1
        ends = self.pattern[end] == ")"
        if flags not in ("", "i", "s"):
            raise _Unread
        if flags == "i":
            if self.depth > 0 or not ends or self.runs != [""]:
                raise _Unread  # only for a part of the pattern
            self.any_case = True
        return ends

    def _class(self) -> str:
        start = self.at - 1
        if self._peek() == "^":
            self.at += 1
        if self._peek() == "]":
            self.at += 1
        while (character := self._next()) != "]":
            if character == "\\":
                self.at += 1
            elif character == "[" and self._peek() == ":":
                self.at = self.pattern.index(":]", self.at) + 2
        return _member(self.pattern[start : self.at])

    def _escape(self) -> tuple[str, bool]:
        character = self._next()
        if character in _CLASS_EXAMPLES:
            return _CLASS_EXAMPLES[character], False
        if character in _ZERO_WIDTH:
            return "", False
        if character in _CONTROL:
            return _CONTROL[character], True
        if character.isalnum():
            raise _Unread
        return character, True

    def _quantifier(self) -> int | None:
        """The least number of repetitions; None without a quantifier."""
        character = self._peek()
        if character in ("*", "?", "+"):
            self.at += 1
            least = 1 if character == "+" else 0
        elif character == "{" and "}" in self.pattern[self.at :]:
            end = self.pattern.index("}", self.at)
            least = int(self.pattern[self.at + 1 : end].split(",")[0])
            self.at = end + 1
        else:
            return None
        if self._peek() == "?":
            self.at += 1
        return least

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _next(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]


def _member(character_class: str) -> str:
    import re2

    inside = (each for each in character_class[1:-1] if each not in "^\\-[]:")
    for each in "".join((*inside, _CANDIDATES)):
        if re2.fullmatch(character_class, each):
            return each
    raise _Unread
