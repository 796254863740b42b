"""The policy in force: swapped atomically, last good kept, history with rollback.

Readers take `.current` without a lock: it is one reference to something that never changes, so a request
keeps the policy it started with. Writers are serialised. Does not watch files and does not speak HTTP.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from routing.decide import PolicyEngine
from routing.document import Problem
from routing.policy import Policy, PolicyError, load_policy, version_of
from routing.types import ModelFacts

HISTORY_KEPT = 50


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    engine: PolicyEngine
    version: str
    loaded_at_s: float
    source: str
    text: str | bytes

    @property
    def policy(self) -> Policy:
        return self.engine.policy


@dataclass(frozen=True, slots=True)
class Change:
    """A version came into force. `before` equals `after` when the offered text was in force already."""

    before: str | None
    after: str
    at_s: float
    source: str
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A text that is not in force because of its problems."""

    version: str
    at_s: float
    source: str
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class UnknownVersion(KeyError):
    """A rollback to a version that is not in the history. `known` are those that are, newest first."""

    def __init__(self, version: str, known: tuple[str, ...]) -> None:
        super().__init__(version, known)
        self.version = version
        self.known = known

    def __str__(self) -> str:
        return f"there is no policy version {self.version!r}; known are {', '.join(self.known)}"


class PolicyStore:
    """`history` holds every version that was in force, newest last; `refused` is the last text that was not
    taken, None once a good one came after it."""

    def __init__(
        self, models: Mapping[str, ModelFacts], initial_text: str | bytes, source: str, now_s: float = 0.0
    ) -> None:
        """Raises PolicyError: there is no last good policy to keep."""
        self._models = dict(models)
        self._write = threading.Lock()
        self._loaded: dict[str, ActivePolicy] = {}
        self._current = self._load(initial_text, source, now_s)
        self._loaded[self._current.version] = self._current
        self._history: deque[Change] = deque(maxlen=HISTORY_KEPT)
        self._history.append(Change(None, self._current.version, now_s, source))
        self.refused: Refused | None = None

    @property
    def current(self) -> ActivePolicy:
        return self._current

    @property
    def history(self) -> tuple[Change, ...]:
        return tuple(self._history)

    def offer(self, text: str | bytes, source: str, now_s: float) -> Change | Refused:
        """Puts the text in force if it is good; otherwise what is in force stays."""
        with self._write:
            version = version_of(text)
            if version == self._current.version:
                self.refused = None
                return Change(version, version, now_s, source)
            try:
                loaded = self._load(text, source, now_s)
            except PolicyError as error:
                self.refused = Refused(version, now_s, source, error.problems)
                return self.refused
            self.refused = None
            return self._put_in_force(loaded, now_s, rollback=False)

    def rollback(self, version: str, now_s: float = 0.0) -> Change:
        """Puts a version of the history in force again. Raises UnknownVersion."""
        with self._write:
            if version not in self._loaded:
                raise UnknownVersion(version, tuple(reversed(self._loaded)))
            return self._put_in_force(self._loaded[version], now_s, rollback=True)

    def _load(self, text: str | bytes, source: str, now_s: float) -> ActivePolicy:
        policy = load_policy(text, source=source, models=self._models)
        return ActivePolicy(PolicyEngine(policy, self._models), policy.version, now_s, source, text)

    def _put_in_force(self, loaded: ActivePolicy, now_s: float, *, rollback: bool) -> Change:
        change = Change(self._current.version, loaded.version, now_s, loaded.source, rollback)
        self._loaded.pop(loaded.version, None)
        self._loaded[loaded.version] = loaded
        while len(self._loaded) > HISTORY_KEPT:
            del self._loaded[next(iter(self._loaded))]
        self._history.append(change)
        self._current = loaded
        return change
