"""Reads the items to render, one JSON object or CSV row each, and says of every wrong one where it stands.

Everything is read and checked before anything is sent.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_PROBLEMS = 20
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_ENVELOPE = frozenset({"custom_id", "method", "url", "body"})


class ItemsError(ValueError):
    """Items that cannot be rendered; the message has one line for each, with its place."""


class BodyProblem(ValueError):
    """What is wrong with the body of an item; the message names the field."""


Body = Mapping[str, Any]
CheckBody = Callable[[Body], Body]
"""Returns the body as it is sent, or raises BodyProblem."""


@dataclass(frozen=True, slots=True)
class Item:
    """`body` is what is sent. `line` is where it begins in the file, from 1."""

    id: str
    line: int
    body: Body

    @property
    def request_sha256(self) -> str:
        return _digest(self.body)


def read_items(path: Path, check: CheckBody) -> list[Item]:
    """Raises ItemsError. An item without an id is named by its content."""
    rows = _rows_of_csv if path.suffix.lower() == ".csv" else _rows_of_jsonl
    items: list[Item] = []
    problems: list[str] = []
    first_lines: dict[str, int] = {}
    for line, row in rows(path, _text(path)):
        try:
            item = _item(line, row, check)
            if item.id in first_lines:
                raise BodyProblem(_twice(item, first_lines[item.id], row))
            first_lines[item.id] = line
            items.append(item)
        except BodyProblem as problem:
            problems.append(f"{path}:{line}: {problem}")
            if len(problems) > MAX_PROBLEMS:
                problems[-1] = "... and maybe more"
                break
    if problems:
        raise ItemsError("\n".join(problems))
    if not items:
        raise ItemsError(f"{path}: holds no items")
    return items


def with_defaults(item_id: str, body: Body) -> Body:
    """The body with priority `batch`, and with a seed made from the id, where it says neither.

    With a fixed seed an item that is rendered again after an interruption gives the same picture.
    """
    options = dict(body.get("atelier") or {})
    options.setdefault("priority", "batch")
    if options.get("seed") is None:
        options["seed"] = int(_digest([item_id, body])[:8], 16)
    return {**body, "atelier": options}


def _item(line: int, row: "dict[str, Any] | BodyProblem", check: CheckBody) -> Item:
    if isinstance(row, BodyProblem):
        raise row
    item_id, body = _id_and_body(row)
    checked = check(body)
    if item_id is None:
        item_id = f"item-{_digest(checked)[:16]}"
    elif not isinstance(item_id, str) or _ID.fullmatch(item_id) is None:
        raise BodyProblem(
            f"id {str(item_id)[:64]!r} cannot name a file: letters, digits, '_', '-', '.', at most 128"
        )
    return Item(item_id, line, with_defaults(item_id, checked))


def _id_and_body(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Of a row of our own (`id` and the request's fields), or of a line for OpenAI's batches."""
    if "custom_id" not in row:
        body = dict(row)
        return body.pop("id", None), body
    unknown = sorted(row.keys() - _ENVELOPE)
    if unknown:
        raise BodyProblem(f"unknown field {unknown[0]!r} beside custom_id, method, url and body")
    if row.get("method", "POST") != "POST":
        raise BodyProblem("method must be POST")
    if row.get("url", "/v1/images/generations") != "/v1/images/generations":
        raise BodyProblem("url must be /v1/images/generations")
    inner = row.get("body")
    if not isinstance(inner, dict):
        raise BodyProblem("body must be a JSON object")
    return row["custom_id"], inner


def _twice(item: Item, first_line: int, row: "dict[str, Any] | BodyProblem") -> str:
    if isinstance(row, dict) and ("id" in row or "custom_id" in row):
        return f"id {item.id!r} is that of line {first_line} too"
    return f"asks for the same as line {first_line}: give both an id, and with it a seed of its own"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ItemsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ItemsError(f"{path}: is not UTF-8 (byte {error.start})") from None


def _rows_of_jsonl(path: Path, text: str) -> "Iterator[tuple[int, dict[str, Any] | BodyProblem]]":
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, BodyProblem(f"is not JSON: {error.msg} at column {error.colno}")
            continue
        except RecursionError:
            yield number, BodyProblem("is nested too deeply")
            continue
        yield number, document if isinstance(document, dict) else BodyProblem("is not a JSON object")


def _rows_of_csv(path: Path, text: str) -> "Iterator[tuple[int, dict[str, Any] | BodyProblem]]":
    """Columns are fields of the request; `atelier.seed` and the like are those of the `atelier` object.
    Empty cells say nothing."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise ItemsError(f"{path}:1: a column is there twice")
        if "prompt" not in header:
            raise ItemsError(f"{path}:1: has no column prompt; the first row names the columns")
        begins = reader.line_num + 1
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not cells:
                continue
            if len(cells) != len(header):
                yield line, BodyProblem(f"has {len(cells)} cells; the first row names {len(header)} columns")
                continue
            yield line, _nested(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise ItemsError(f"{path}:{reader.line_num}: is not CSV: {error}") from None


def _nested(cells: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column, cell in cells.items():
        if cell == "":
            continue
        *outer, name = column.split(".")
        place = row
        for part in outer:
            place = place.setdefault(part, {})
        place[name] = cell
    return row


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
