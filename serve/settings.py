"""The only reader of the environment, but for keys of providers (deployments/hosted/keys.py).

Unknown ATELIER_ variables are errors: a typo is not a default."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_PREFIX = "ATELIER_"
# Read by tests and by training scripts.
_OF_OTHERS = frozenset(
    {"ATELIER_SHARED", "ATELIER_TRAINING_DIR", "ATELIER_UPDATE_GOLDEN", "ATELIER_UPSCALER_TRAINING_DIR"}
)


class SettingsError(ValueError):
    """An environment variable that cannot be understood; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`api_keys_file` names a mounted secret; `otlp_endpoint` is OpenTelemetry's own variable."""

    config: str | None = None
    host: str | None = None
    port: int | None = None
    log_level: str | None = None
    api_keys_file: str | None = None
    otlp_endpoint: str | None = None


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Raises SettingsError for an unknown or malformed variable."""
    environ = os.environ if environ is None else environ
    known = {name for name in Settings.__slots__ if name != "otlp_endpoint"}
    values: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(_PREFIX) or variable in _OF_OTHERS:
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if name not in known:
            choices = ", ".join(sorted(_PREFIX + each.upper() for each in known))
            raise SettingsError(f"{variable} is not a setting; known are {choices}")
        if value:
            values[name] = value
    return Settings(
        config=values.get("config"),
        host=values.get("host"),
        port=_port(values.get("port")),
        log_level=values.get("log_level"),
        api_keys_file=values.get("api_keys_file"),
        otlp_endpoint=environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
    )


def read_secret(variable: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of a variable that the operator names. Raises SettingsError, which does not show it."""
    value = (os.environ if environ is None else environ).get(variable, "").strip()
    if not value:
        raise SettingsError(f"the environment variable {variable} is not set, or is empty")
    return value


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SettingsError(f"{_PREFIX}PORT is {text!r}; a port is a whole number from 1 to 65535")
    return int(text)
