"""Where images go that are answered by URL: an fsspec location that every router replica reads.

A name is unguessable and says when it expires, so that any replica can answer without shared state.
"""

import re
import secrets
from dataclasses import dataclass

import fsspec

from deployments.types import EncodedImage, ImageFormat

_NAME = re.compile(r"(\d{10,12})-[A-Za-z0-9_-]{32}\.(png|jpeg|webp|svg)")


@dataclass(frozen=True, slots=True)
class StoredFile:
    data: bytes
    media_type: str


class ImageFiles:
    """`url` is any fsspec URL of a folder. `ttl_s` is how long a file is served."""

    def __init__(self, url: str, ttl_s: float) -> None:
        self._filesystem, self._folder = fsspec.core.url_to_fs(url)
        self._ttl_s = ttl_s
        self._filesystem.makedirs(self._folder, exist_ok=True)

    def put(self, image: EncodedImage, now_unix_s: float, ttl_s: float | None = None) -> str:
        """Stores the image, for `ttl_s` if that is given, and returns its name. Blocking."""
        expires_unix_s = int(now_unix_s + (ttl_s or self._ttl_s))
        name = f"{expires_unix_s}-{secrets.token_urlsafe(24)}.{image.format.value}"
        with self._filesystem.open(f"{self._folder}/{name}", "wb") as file:
            file.write(image.data)
        return name

    def get(self, name: str, now_unix_s: float) -> StoredFile | None:
        """None for a name that is malformed, expired or not there. Blocking."""
        match = _NAME.fullmatch(name)
        if match is None or int(match[1]) < now_unix_s:
            return None
        try:
            data = self._filesystem.cat_file(f"{self._folder}/{name}")
        except FileNotFoundError:
            return None
        return StoredFile(data, ImageFormat(match[2]).media_type)

    def remove_expired(self, now_unix_s: float) -> int:
        """Deletes what is no longer served; returns how many. Blocking."""
        removed = 0
        for path in self._filesystem.ls(self._folder, detail=False):
            match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
            if match is not None and int(match[1]) < now_unix_s:
                self._filesystem.rm_file(path)
                removed += 1
        return removed
