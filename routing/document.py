"""YAML text to plain values that remember where they stood.

Refuses what a policy file never needs and an attacker might send: text that is not UTF-8, more than one
document, duplicate keys, references that expand without bound or contain themselves, deep nesting, and
tags that build objects. Knows nothing of what the values mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Value = None | bool | int | float | str | tuple["Value", ...] | dict[str, "Value"]
Location = tuple[int | str, ...]

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 1_000_000
"""Bounds the values after references are expanded. 10,000 ordinary routes are about 100,000 values."""

# PyYAML's C parser where it was built (30 times faster), the same grammar in Python where it was not.
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MERGE = "tag:yaml.org,2002:merge"
_STRING_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where. `line` and `column` count from 1;
    `path` is like `model_routing[2].model`.
    """

    source: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Place:
    """`line` and `column` count from 1."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


class DocumentError(ValueError):
    """Text that is not one well-formed YAML document."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Document:
    """`value` is the plain data (sequences as tuples); `problem_at` finds where a part of it was written."""

    source: str
    value: Value
    root: Node | None

    def place_of(self, location: Location) -> Place:
        """Of the nearest enclosing value, where the location is not in the document."""
        problem = self.problem_at(location, "")
        return Place(problem.source, problem.line, problem.column)

    def problem_at(self, location: Location, message: str, *, of_key: bool = False) -> Problem:
        """`location` may hold parts that are not in the document (a missing key, a schema's own names):
        the position is then that of the nearest enclosing value. `of_key` points at the last key."""
        node, place, path = self.root, self.root, ""
        for part in location:
            step = _child(node, part)
            if step is None:
                if isinstance(part, str) and isinstance(node, MappingNode):
                    path += f".{part}" if path else part
                break
            key, node = step
            place = key if of_key else node
            path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else part)
        line, column = _position(place)
        return Problem(self.source, line, column, path or "(top level)", message)


def parse(text: str | bytes, source: str) -> Document:
    """Raises DocumentError. An empty document has the value None."""
    decoded = _decode(text, source)
    try:
        _check_depth(decoded, source)
        root = yaml.compose(decoded, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _refused(source, line, column, f"not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line, column = _line_and_column(decoded, error.position)
        raise _refused(
            source, line, column, f"not YAML: character #x{error.character:04x}: {error.reason}"
        ) from None
    except yaml.YAMLError as error:
        raise _refused(source, 1, 1, f"not YAML: {error}") from None
    if root is None:
        return Document(source, None, None)
    _check_size(root, source)
    builder = _Builder(source)
    value = builder.build(root, "")
    if builder.problems:
        raise DocumentError(tuple(builder.problems))
    return Document(source, value, root)


def _decode(text: str | bytes, source: str) -> str:
    if len(text) > MAX_BYTES:
        raise _refused(source, 1, 1, f"{len(text)} bytes; a policy file may have {MAX_BYTES}")
    if isinstance(text, str):
        for index, character in enumerate(text) if not text.isascii() else ():
            if "\ud800" <= character <= "\udfff":
                raise _refused(source, *_line_and_column(text, index), "a lone surrogate is not text")
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8", errors="replace")
        line, column = _line_and_column(before, len(before))
        raise _refused(source, line, column, f"not UTF-8: byte 0x{text[error.start]:02x}") from None


def _check_depth(text: str, source: str) -> None:
    """Before composing: PyYAML composes by recursion in C, which a deep enough file crashes."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(source, *_position(event), f"nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(root: Node, source: str) -> None:
    """Counts the values as if references were written out, without writing them out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Node, depth: int) -> int:
        if isinstance(node, ScalarNode):
            return 1
        known = sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in open_nodes:
            raise _refused(source, *_position(node), "an anchor contains a reference to itself")
        if depth > MAX_DEPTH:
            raise _refused(source, *_position(node), f"nested deeper than {MAX_DEPTH} levels")
        open_nodes.add(id(node))
        total = 1 + sum(size(child, depth + 1) for child in _children(node))
        open_nodes.discard(id(node))
        if total > MAX_VALUES:
            raise _refused(source, *_position(node), f"references expand to more than {MAX_VALUES} values")
        sizes[id(node)] = total
        return total

    size(root, 0)


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


@dataclass(slots=True)
class _Builder:
    """Nodes to values, collecting every problem instead of stopping at the first."""

    source: str
    problems: list[Problem] = field(default_factory=list)
    scalars: SafeConstructor = field(default_factory=SafeConstructor)

    def build(self, node: Node, path: str) -> Value:
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, SequenceNode):
            if node.tag != "tag:yaml.org,2002:seq":
                self._add(node, path, f"the tag {node.tag} is not supported")
            return tuple([self.build(child, f"{path}[{index}]") for index, child in enumerate(node.value)])
        if node.tag != "tag:yaml.org,2002:map":
            self._add(node, path, f"the tag {node.tag} is not supported")
        return self._mapping(node, path)

    def _mapping(self, node: Node, path: str) -> dict[str, Value]:
        result: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged.update(self._merged(value_node, path))
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            inner = f"{path}.{key}" if path else key
            if key in result:
                self._add(key_node, inner, "this key is written twice")
            result[key] = self.build(value_node, inner)
        return {**merged, **result}

    def _merged(self, node: Node, path: str) -> dict[str, Value]:
        """What `<<: *name` brings; in a list of mappings the earlier one wins, as YAML 1.1 has it."""
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and all(isinstance(each, MappingNode) for each in node.value):
            result: dict[str, Value] = {}
            for each in reversed(node.value):
                result.update(self._mapping(each, path))
            return result
        self._add(node, path, "`<<` takes a mapping or a list of mappings")
        return {}

    def _key(self, node: Node, path: str) -> str | None:
        if isinstance(node, ScalarNode) and node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        self._add(node, path, "a key must be text")
        return None

    def _scalar(self, node: ScalarNode, path: str) -> Value:
        tag, text = node.tag, str(node.value)
        if tag in _STRING_TAGS:
            return text
        try:
            match tag:
                case "tag:yaml.org,2002:null":
                    return None
                case "tag:yaml.org,2002:bool":
                    return bool(self.scalars.construct_yaml_bool(node))
                case "tag:yaml.org,2002:int":
                    return int(self.scalars.construct_yaml_int(node))
                case "tag:yaml.org,2002:float":
                    return float(self.scalars.construct_yaml_float(node))
        except (ValueError, KeyError, IndexError, OverflowError, ConstructorError):
            self._add(node, path, f"not a valid {tag.rsplit(':', 1)[-1]}: {text[:40]!r}")
            return None
        self._add(node, path, f"the tag {tag} is not supported")
        return None

    def _add(self, node: Node, path: str, message: str) -> None:
        self.problems.append(Problem(self.source, *_position(node), path or "(top level)", message))


def _child(node: Node | None, part: int | str) -> tuple[Node, Node] | None:
    """The key node and the value node of a part: for a sequence both are the item."""
    if isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == part and key.tag != _MERGE:
                return key, value
        for key, value in node.value:
            if key.tag == _MERGE:
                sources = value.value if isinstance(value, SequenceNode) else [value]
                for source in sources:
                    found = _child(source, part)
                    if found is not None:
                        return found
    return None


def _position(node: Node | yaml.Event | None) -> tuple[int, int]:
    if node is None or node.start_mark is None:
        return 1, 1
    return node.start_mark.line + 1, node.start_mark.column + 1


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1


def _refused(source: str, line: int, column: int, message: str) -> DocumentError:
    return DocumentError((Problem(source, line, column, "(top level)", message),))
