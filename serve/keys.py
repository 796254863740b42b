"""API keys: a mounted file of hashes, each naming its tenant. Knows nothing of HTTP.

One `tenant:sha256-of-the-key` per line; `#` starts a comment. A tenant may have several keys, so that a new
one works before the old one is taken out. The keys themselves are nowhere on the server.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from pathlib import Path

logger = logging.getLogger("atelier.keys")

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,62}):([0-9a-f]{64})")
RELOAD_INTERVAL_S = 1.0


class KeysError(ValueError):
    """A keys file that cannot be used. Names file and line, never the line's content."""


def new_key() -> str:
    """256 bits from the operating system."""
    return f"atl-{secrets.token_urlsafe(32)}"


def entry(tenant: str, key: str) -> str:
    """The line of the keys file for `key`. Raises ValueError for a tenant name that no line may hold."""
    line = f"{tenant}:{_digest(key)}"
    if _LINE.fullmatch(line) is None:
        raise ValueError(f"{tenant!r} is not a tenant name: letters, digits, '_', '.', '-', at most 63")
    return line


class KeyRing:
    """Follows the file: a change is in force within `RELOAD_INTERVAL_S`, a bad one leaves what was."""

    def __init__(self, path: str) -> None:
        """Raises KeysError."""
        self._path = Path(path)
        self._text = self._read()
        self._entries = _parse(self._text, path)
        self._looked_at_s = time.monotonic()

    def tenant(self, key: str) -> str | None:
        """Whose key it is; None if nobody's. Every entry is compared, each in constant time."""
        self._refresh()
        digest = _digest(key)
        found = None
        for known, tenant in self._entries:
            if hmac.compare_digest(known, digest):
                found = tenant
        return found

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_at_s < RELOAD_INTERVAL_S:
            return
        self._looked_at_s = now_s
        try:
            text = self._read()
            if text != self._text:
                self._text = text
                self._entries = _parse(text, str(self._path))
                logger.info("%d API keys in force", len(self._entries))
        except KeysError as error:
            logger.error("%s; the keys that were in force stay", error)

    def _read(self) -> str:
        try:
            return self._path.read_text("utf-8")
        except OSError as error:
            raise KeysError(f"keys file {self._path} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise KeysError(f"keys file {self._path} is not UTF-8") from None


def _parse(text: str, source: str) -> list[tuple[str, str]]:
    entries = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise KeysError(f"{source}:{number}: expected tenant:sha256, lower case (see `atelier key`)")
        entries.append((match[2], match[1]))
    if not entries:
        raise KeysError(f"{source}: holds no key (make one with `atelier key TENANT`)")
    return entries


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
