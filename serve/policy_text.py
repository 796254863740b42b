"""The text of the policy, from where the config says: a file, the config itself, or a ConfigMap.

Reads once. Does not watch, and does not know what the text means.
"""

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from routing.files import ReadInclude, folder_reader
from serve.config import ConfigError, ConfigMapRef, PolicySource
from serve.kubernetes_api import ClusterError
from serve.watch.configmap import ConfigMapSource

logger = logging.getLogger("atelier.policy")


@dataclass(frozen=True, slots=True)
class PolicyText:
    """`source` is shown to people, `read` gives what the text includes."""

    text: str | bytes
    source: str
    read: ReadInclude | None = None


def read_policy(source: PolicySource, config_map: ConfigMapSource | None = None) -> PolicyText:
    """`config_map` reads what `source.config_map` names; the real API without one. Raises ConfigError."""
    if source.config_map is not None:
        return _from_config_map(source.config_map, config_map or config_map_source(source.config_map))
    if source.path is not None:
        return _from_file(source.path)
    return PolicyText(source.text or "", "inline policy")


def config_map_source(ref: ConfigMapRef) -> ConfigMapSource:
    return ConfigMapSource(ref.namespace, ref.name, ref.key)


def from_texts(ref: ConfigMapRef, texts: Mapping[str, str]) -> PolicyText:
    """The policy under the key that `ref` names; it may include other keys of the same ConfigMap."""

    def read(path: str) -> bytes:
        if path not in texts:
            raise FileNotFoundError(errno.ENOENT, "the ConfigMap has no such key")
        return texts[path].encode()

    return PolicyText(texts[ref.key], f"configmap:{ref.namespace}/{ref.name}/{ref.key}", read)


def _from_config_map(ref: ConfigMapRef, config_map: ConfigMapSource) -> PolicyText:
    try:
        return from_texts(ref, config_map.read())
    except ClusterError as error:
        if ref.fallback_path is None:
            raise ConfigError(f"policy.config_map: {error}") from None
        logger.warning("%s; starting with %s", error, ref.fallback_path)
    return _from_file(ref.fallback_path)


def _from_file(path: str) -> PolicyText:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"policy file {path} cannot be read ({error.strerror})") from None
    return PolicyText(text, path, folder_reader(path))
