"""API keys of providers: where they come from, never what they are.

A spec names an environment variable or a mounted file. The value is read for each call, so that a rotated
secret is in use at once, and lives in no object that could be printed.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from deployments.spec import ClosedModel

_SETTINGS_PREFIX = "ATELIER_"


class KeyUnavailable(Exception):
    """There is no usable key. The message names the place, never the content."""


class KeySource(ClosedModel):
    """Exactly one of `env`, the name of an environment variable, and `file`, the path of a mounted secret."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "KeySource":
        if (self.env is None) == (self.file is None):
            raise ValueError("give exactly one of env and file")
        if self.env is not None and self.env.startswith(_SETTINGS_PREFIX):
            raise ValueError(
                f"variables that begin with {_SETTINGS_PREFIX} are settings: choose another name"
            )
        return self

    def read(self) -> str:
        """Raises KeyUnavailable. A key that a header cannot carry would end up in a library's error, so it
        is refused here."""
        place, key = self._found()
        key = key.strip()
        if not key:
            raise KeyUnavailable(f"{place} is empty")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise KeyUnavailable(f"{place} holds something that is no API key")
        return key

    def _found(self) -> tuple[str, str]:
        if self.env is not None:
            place = f"environment variable {self.env}"
            value = os.environ.get(self.env)
            if value is None:
                raise KeyUnavailable(f"{place} is not set")
            return place, value
        place = f"secret file {self.file}"
        try:
            return place, Path(str(self.file)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyUnavailable(f"{place} cannot be read ({type(error).__name__})") from None
