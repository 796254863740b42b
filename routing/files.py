"""A policy file and what it includes: texts to validated specs, positions kept.

Where included texts come from is the caller's: `folder_reader` reads files beside the policy.
"""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from routing.document import Document, DocumentError, Location, Problem, parse
from routing.schema import PolicySpec

ReadInclude = Callable[[str], bytes]
"""The text of the file at a path relative to the policy's folder. Raises OSError."""

MAX_FILES = 256


@dataclass(frozen=True, slots=True)
class PolicyFile:
    document: Document
    spec: PolicySpec
    data: bytes


def folder_reader(policy_file: str | Path) -> ReadInclude:
    """Reads from the folder of the policy file, and never from outside it (symbolic links resolved)."""
    folder = Path(policy_file).resolve().parent

    def read(path: str) -> bytes:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder):
            raise PermissionError(f"{path} is outside the policy's folder")
        return file.read_bytes()

    return read


def read_with_includes(text: str | bytes, source: str, read: ReadInclude | None) -> list[PolicyFile]:
    """The file itself first, then what it includes, depth first in the order listed; a file that is included
    twice comes once. Raises DocumentError, also for a file that includes itself."""
    files: list[PolicyFile] = []
    problems: list[Problem] = []
    folder = posixpath.dirname(source)

    def visit(text: str | bytes, path: str, shown: str, open_paths: tuple[str, ...]) -> None:
        file = validated(text, shown)
        files.append(file)
        for index, written in enumerate(file.spec.includes):
            where: Location = ("includes", index)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
            refused = _refusal(target, open_paths, read, len(files))
            if refused is not None:
                problems.append(file.document.problem_at(where, refused))
                continue
            target_shown = posixpath.join(folder, target)
            if read is None or any(each.document.source == target_shown for each in files):
                continue
            try:
                included = read(target)
            except OSError as error:
                reason = error.strerror or str(error)
                problems.append(file.document.problem_at(where, f"{written} cannot be read: {reason}"))
                continue
            visit(included, target, target_shown, (*open_paths, target))

    start = posixpath.basename(source)
    visit(text, start, source, (start,))
    if problems:
        raise DocumentError(tuple(problems))
    return files


def _refusal(target: str, open_paths: tuple[str, ...], read: ReadInclude | None, count: int) -> str | None:
    if read is None:
        return "this policy does not come from a folder, so it cannot include files"
    if target.startswith(("/", "..")):
        return "an included file must lie in the policy's folder or below"
    if target in open_paths:
        return f"includes itself: {' -> '.join((*open_paths, target))}"
    return f"more than {MAX_FILES} files" if count >= MAX_FILES else None


def validated(text: str | bytes, source: str) -> PolicyFile:
    """Raises DocumentError."""
    document = parse(text, source)
    if document.value is None:
        raise DocumentError((Problem(source, 1, 1, "(top level)", "the file is empty"),))
    if not isinstance(document.value, dict):
        raise DocumentError((document.problem_at((), "expected a mapping with model_routing"),))
    try:
        spec = PolicySpec.model_validate(document.value)
    except ValidationError as error:
        raise DocumentError(problems_of(document, error)) from None
    return PolicyFile(document, spec, text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def problems_of(document: Document, error: ValidationError) -> tuple[Problem, ...]:
    """pydantic's findings at their places in the document. A list whose items are refused also counts as
    empty for pydantic; that is left out."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(
        document.problem_at(
            each["loc"], _in_words(each["type"], each["msg"]), of_key=each["type"] == "extra_forbidden"
        )
        for each in found
        if each["type"] != "too_short" or not any(_is_inside(other["loc"], each["loc"]) for other in found)
    )


def _is_inside(inner: Location, outer: Location) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _in_words(kind: str, message: str) -> str:
    """pydantic's message, with a Python programmer's terms replaced by a YAML writer's."""
    if kind == "extra_forbidden":
        return "there is no such key here"
    if kind == "model_type":
        return "should be a mapping"
    words = {
        "tuple": "list",
        "Tuple": "list",
        "dictionary": "mapping",
        "Dictionary": "mapping",
        "Value error, ": "",
        "Input should": "should",
    }
    for term, word in words.items():
        message = message.replace(term, word)
    return message
