"""Reads and checks the input file of a batch: one JSON object per line.

A file with any problem is refused as a whole, as OpenAI's is, before anything is rendered. What only the
policy or a model can say (an unknown model, a size too large) is found line by line when its turn comes.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from serve.batches.records import Line, Problem
from serve.schemas import ImageGenerationRequest, Wire

ENDPOINT = "/v1/images/generations"
MAX_PROBLEMS = 100
"""Beyond these a file is not read further."""
MAX_LINE_BYTES = 1 << 20


class BatchLine(Wire):
    """One line, as OpenAI defines it."""

    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: Literal["POST"]
    url: Literal["/v1/images/generations"]
    body: dict[str, Any]


def read_lines(
    raw: Iterable[bytes], max_lines: int, allow_urls: bool = True
) -> tuple[list[Line], list[Problem]]:
    """Either list may be empty, not both. Empty lines are skipped. Lines count from 1."""
    lines: list[Line] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(raw, 1):
        if not text.strip():
            continue
        if len(lines) + len(problems) >= max_lines:
            message = f"the file has more than {max_lines} requests: make several batches of it"
            return [], [Problem("too_many_requests", message, number)]
        found = _read_line(text, number, allow_urls)
        if isinstance(found, Problem):
            problems.append(found)
        elif found.custom_id in seen:
            problems.append(_duplicate(found.custom_id, number, seen[found.custom_id]))
        else:
            seen[found.custom_id] = number
            lines.append(found)
        if len(problems) >= MAX_PROBLEMS:
            break
    if not lines and not problems:
        problems.append(Problem("empty_file", "the file holds no requests"))
    return lines, problems


def _read_line(text: bytes, number: int, allow_urls: bool) -> Line | Problem:
    if len(text) > MAX_LINE_BYTES:
        return Problem("line_too_long", f"the line is over {MAX_LINE_BYTES} bytes", number)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Problem("invalid_json_line", "the line is not JSON", number)
    if not isinstance(document, dict):
        return Problem("invalid_json_line", "the line is not a JSON object", number)
    try:
        line = BatchLine.model_validate(document)
        request = ImageGenerationRequest.model_validate(line.body)
    except ValidationError as error:
        return _problem(error, number)
    if request.stream:
        return Problem("invalid_parameter", "a batch cannot stream: leave stream out", number, "body.stream")
    if request.response_format == "url" and not allow_urls:
        message = "this server keeps images answered by URL in memory only: ask for b64_json"
        return Problem("invalid_parameter", message, number, "body.response_format")
    return Line(line.custom_id, json.dumps(line.body))


def _problem(error: ValidationError, number: int) -> Problem:
    first = error.errors()[0]
    in_body = error.title == ImageGenerationRequest.__name__
    param = ".".join(str(part) for part in (("body", *first["loc"]) if in_body else first["loc"]))
    match first["type"]:
        case "extra_forbidden":
            return Problem("unknown_parameter", f"unknown parameter {param!r}", number, param)
        case "missing":
            return Problem("missing_parameter", f"{param!r} is required", number, param)
        case "literal_error" if param == "url":
            return Problem("invalid_url", f"url must be {ENDPOINT}, the batch's endpoint", number, param)
        case _:
            return Problem("invalid_parameter", f"{param}: {first['msg']}", number, param)


def _duplicate(custom_id: str, number: int, first: int) -> Problem:
    message = f"custom_id {custom_id[:64]!r} is that of line {first} too"
    return Problem("duplicate_custom_id", message, number, "custom_id")
