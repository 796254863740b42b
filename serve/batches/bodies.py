"""Where the contents of files lie: any fsspec location. Blocking.

A body is there whole or not at all: on a local disk it is written beside its place, flushed, and moved;
object stores show an object when it is complete.
"""

import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

CHUNK_BYTES = 1 << 20


class BodyMissing(Exception):
    """There is no such body."""


class Bodies:
    """Names are those that this package makes: ids, and `parts/<batch>/<name>`."""

    def __init__(self, url: str) -> None:
        self._filesystem, folder = fsspec.core.url_to_fs(url)
        self._folder = folder.rstrip("/")
        self._filesystem.makedirs(self._folder, exist_ok=True)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Returns how many bytes it was."""
        path = f"{self._folder}/{name}"
        self._filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        if isinstance(self._filesystem, LocalFileSystem):
            return _write_local(Path(path), chunks)
        with self._filesystem.open(path, "wb") as file:
            return _pour(chunks, file)

    def read(self, name: str) -> Iterator[bytes]:
        """In chunks. Raises BodyMissing before the first one."""
        file = self._open(name)

        def chunks() -> Iterator[bytes]:
            with file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

        return chunks()

    def lines(self, name: str, longest_bytes: int) -> Iterator[bytes]:
        """Without their line ends. A line over `longest_bytes` comes cut, one byte longer than that. Raises
        BodyMissing before the first one."""
        file = self._open(name)

        def lines() -> Iterator[bytes]:
            with file:
                while line := file.readline(longest_bytes + 1):
                    rest = line
                    while len(rest) > longest_bytes and not rest.endswith(b"\n"):
                        rest = file.readline(longest_bytes + 1)
                    yield line.rstrip(b"\r\n") if len(line) <= longest_bytes else line

        return lines()

    def remove(self, name: str) -> None:
        """Nothing happens when there is none."""
        try:
            self._filesystem.rm_file(f"{self._folder}/{name}")
        except FileNotFoundError:
            return

    def folders(self, name: str) -> list[str]:
        """Names of the folders in one."""
        try:
            found = self._filesystem.ls(f"{self._folder}/{name}", detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rsplit("/", 1)[-1] for path in found]

    def remove_folder(self, name: str) -> None:
        try:
            self._filesystem.rm(f"{self._folder}/{name}", recursive=True)
        except FileNotFoundError:
            return

    def _open(self, name: str) -> Any:
        try:
            return self._filesystem.open(f"{self._folder}/{name}", "rb")
        except FileNotFoundError:
            raise BodyMissing(name) from None


def _write_local(path: Path, chunks: Iterable[bytes]) -> int:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("wb") as file:
            size = _pour(chunks, file)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size


def _pour(chunks: Iterable[bytes], file: Any) -> int:
    size = 0
    for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
    return size
