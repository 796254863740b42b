"""The policy in force: swapped atomically, last good kept, history with rollback.

Readers take `.current` without a lock: it is one reference to something that never changes, so a request
keeps the policy it started with. Writers are serialised. Does not watch files and does not speak HTTP.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from routing.decide import PolicyEngine
from routing.document import Problem
from routing.files import ReadInclude
from routing.policy import Policy, PolicyError, load_policy, text_version
from routing.types import ModelFacts

HISTORY_KEPT = 100
VERSIONS_KEPT = 20
ROUTES_DESCRIBED = 100


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    engine: PolicyEngine
    version: str
    loaded_at_s: float
    source: str

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
    """`history` holds the changes, newest last; `refused` is the last text that was not taken, None once a
    good one came after it."""

    def __init__(
        self,
        models: Mapping[str, ModelFacts],
        initial_text: str | bytes,
        source: str,
        now_s: float = 0.0,
        read: ReadInclude | None = None,
        check: Callable[[Policy], None] | None = None,
    ) -> None:
        """`read` gives the text of included files; `check` may refuse a policy for reasons beyond its text,
        by raising PolicyError. Raises PolicyError: there is no last good one to keep."""
        self._models = dict(models)
        self._read = read
        self._check = check
        self._write = threading.Lock()
        policy = self._load(initial_text, source, read)
        # Policies without their engines: an engine's pattern set may take hundreds of megabytes.
        self._policies: dict[str, Policy] = {policy.version: policy}
        self._current = self._activate(policy, now_s)
        self._history: deque[Change] = deque(
            [Change(None, policy.version, now_s, source)], maxlen=HISTORY_KEPT
        )
        self.refused: Refused | None = None

    @property
    def current(self) -> ActivePolicy:
        return self._current

    @property
    def history(self) -> tuple[Change, ...]:
        return tuple(self._history)

    @property
    def versions(self) -> tuple[str, ...]:
        """What `rollback` and `policy` know, newest last."""
        return tuple(self._policies)

    def policy(self, version: str) -> Policy:
        """Raises UnknownVersion."""
        policy = self._policies.get(version)
        if policy is None:
            raise UnknownVersion(version, tuple(reversed(self._policies)))
        return policy

    def offer(
        self, text: str | bytes, source: str, now_s: float, read: ReadInclude | None = None
    ) -> Change | Refused:
        """Puts the text in force if it is good; otherwise what is in force stays. `read` gives what this text
        includes, where that came along with it."""
        with self._write:
            try:
                policy = self._load(text, source, read or self._read)
            except PolicyError as error:
                self.refused = Refused(text_version(text), now_s, source, error.problems)
                return self.refused
            self.refused = None
            if policy.version == self._current.version:
                return Change(policy.version, policy.version, now_s, source)
            return self._put_in_force(policy, now_s, rollback=False)

    def rollback(self, version: str, now_s: float = 0.0) -> Change:
        """Puts a version that was in force before in force again. Raises UnknownVersion."""
        with self._write:
            return self._put_in_force(self.policy(version), now_s, rollback=True)

    def describe(self) -> dict[str, Any]:
        """JSON values for people and dashboards: what is in force, how it came, what was refused since."""
        current = self._current
        return {
            "version": current.version,
            "source": current.source,
            "loaded_at_s": current.loaded_at_s,
            "routes": [route.name for route in current.policy.all_routes[:ROUTES_DESCRIBED]],
            "route_count": len(current.policy.all_routes),
            "versions": list(self.versions),
            "history": [_change_entry(change) for change in self.history],
            "refused": None if self.refused is None else _refused_entry(self.refused),
        }

    def _load(self, text: str | bytes, source: str, read: ReadInclude | None) -> Policy:
        policy = load_policy(text, source=source, models=self._models, read=read)
        if self._check is not None:
            self._check(policy)
        return policy

    def _activate(self, policy: Policy, now_s: float) -> ActivePolicy:
        return ActivePolicy(PolicyEngine(policy, self._models), policy.version, now_s, policy.source)

    def _put_in_force(self, policy: Policy, now_s: float, *, rollback: bool) -> Change:
        active = self._activate(policy, now_s)
        change = Change(self._current.version, policy.version, now_s, policy.source, rollback)
        self._policies.pop(policy.version, None)
        self._policies[policy.version] = policy
        while len(self._policies) > VERSIONS_KEPT:
            del self._policies[next(iter(self._policies))]
        self._history.append(change)
        self._current = active
        return change


def _change_entry(change: Change) -> dict[str, Any]:
    return {
        "before": change.before,
        "after": change.after,
        "at_s": change.at_s,
        "source": change.source,
        "rollback": change.rollback,
    }


def _refused_entry(refused: Refused) -> dict[str, Any]:
    return {
        "version": refused.version,
        "at_s": refused.at_s,
        "source": refused.source,
        "problems": [str(problem) for problem in refused.problems],
    }
