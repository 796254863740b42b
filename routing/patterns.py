"""Patterns: one RE2 set, one scan of a text for all of them.

RE2 never backtracks, so a scan takes time linear in the text. A pattern is found anywhere in the text
(`poster` and `.*poster.*` mean the same), `.` does not match a line break, case counts unless the pattern
says `(?i)`. Look-around and back-references do not exist in RE2 and are load errors.

An RE2 set that runs out of memory reports "no match" instead of an error. Every set here holds a sentinel
that is in every text, so that this is noticed and the patterns are tried one by one.
"""

from collections.abc import Sequence
from typing import Any

import re2

MAX_MEM_BYTES = 256 * 1024 * 1024
"""Bounds the states RE2 keeps; it is taken as texts need it. When full, RE2 drops the states and goes on."""


def _options(max_mem_bytes: int) -> Any:
    options = re2.Options()
    options.max_mem = max_mem_bytes
    options.never_capture = True
    options.log_errors = False
    return options


_CHECK = _options(8 * 1024 * 1024)


def refusal(pattern: str) -> str | None:
    """Why RE2 refuses the pattern, None when it does not."""
    try:
        re2.Set.SearchSet(_CHECK).Add(pattern)  # parses without compiling, but does not say what is wrong
    except (re2.error, UnicodeEncodeError):
        return f"RE2 refuses the pattern: {_complaint(pattern)}"
    return None


def _complaint(pattern: str) -> str:
    try:
        re2.compile(pattern, _CHECK)
    except (re2.error, UnicodeEncodeError) as error:
        detail = error.args[0]
        return detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    return "it cannot be part of a set"


def core(pattern: str) -> str:
    """The pattern without the `.*` at its ends, which changes nothing for a pattern found anywhere.

    With them the set's automaton would remember, for every pattern that began to match, that it may still
    go on: the number of its states grows with the product instead of the sum.
    """
    if r"\Q" in pattern:
        return pattern
    body = pattern
    while body.startswith(".*") and body[2:3] not in ("*", "+", "?", "{"):
        body = body[2:]
    while body.endswith(".*") and not _escaped(body, len(body) - 2):
        body = body[:-2]
    return body


def _escaped(text: str, index: int) -> bool:
    backslashes = 0
    while index - backslashes > 0 and text[index - backslashes - 1] == "\\":
        backslashes += 1
    return backslashes % 2 == 1


class PatternSet:
    """Which of many patterns are in a text. Patterns must be free of `refusal`."""

    def __init__(self, patterns: Sequence[str], max_mem_bytes: int = MAX_MEM_BYTES) -> None:
        self._patterns = tuple(core(pattern) for pattern in patterns)
        self._sentinel = len(self._patterns)
        self._set = self._compiled(max_mem_bytes) if self._patterns else None

    def found_in(self, text: str) -> set[int]:
        """Indices of the patterns that are in the text."""
        if not self._patterns:
            return set()
        found = set(self._set.Match(text)) if self._set is not None else set()
        if self._sentinel in found:
            found.discard(self._sentinel)
            return found
        return {index for index, pattern in enumerate(self._patterns) if re2.search(pattern, text)}

    def warm_up(self) -> None:
        """Builds the part of the automaton that most matches go through, so that the first requests need not:
        RE2 builds it as texts come along. Microseconds a pattern."""
        for pattern in self._patterns:
            self.found_in(pattern)

    def _compiled(self, max_mem_bytes: int) -> Any:
        patterns = re2.Set.SearchSet(_options(max_mem_bytes))
        for pattern in self._patterns:
            patterns.Add(pattern)
        patterns.Add("")
        try:
            patterns.Compile()
        except re2.error:
            return None
        return patterns
