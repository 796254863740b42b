"""Changes routes in the text of a policy file and leaves every other line as it was written, comments too.

The text is changed, not the data written anew: that would lose comments, order and spacing. Afterwards the
new text is parsed and compared with what the change means for the data, so that a file written in a way
that this cannot change safely is refused and never damaged. Knows nothing of why a route should change.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from audits.recommend.changes import (
    CannotEdit,
    NewRoute,
    RouteChange,
    RoutePlace,
    check_meaning,
    updated,
)

REMARK = "# audit: "
"""Begins each line of evidence, so that the next recommendation finds and replaces them."""
_WIDTH = 100


def edit_policy(text: str, changes: Sequence[RouteChange], additions: Sequence[NewRoute]) -> str:
    """The text with the changes in it. Raises CannotEdit."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, MappingNode) or root.flow_style:
        raise CannotEdit("the policy is not a block of `key: value` lines")
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = text.removesuffix(line_end).split(line_end)
    # From the bottom to the top, so that the line numbers above stay true; at one place the last goes first.
    edits = [_change(lines, root, each) for each in changes] + _additions(lines, root, additions)
    for edit in sorted(edits, key=lambda each: (each.first, each.after))[::-1]:
        lines[edit.first : edit.after] = edit.lines
    edited = line_end.join(lines) + line_end
    check_meaning(text, edited, changes, additions)
    return edited


@dataclass(frozen=True, slots=True)
class _Edit:
    """Lines [first, after) become `lines`."""

    first: int
    after: int
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One key of a route: comments before it, then its lines, the first without its indent. `span` is
    where its value stands in that line if it stands there whole. The lines of a `fresh` one have no indent
    at all."""

    key: str
    before: Sequence[str]
    lines: Sequence[str]
    span: tuple[int, int] | None = None
    fresh: bool = False


def _change(lines: Sequence[str], root: MappingNode, change: RouteChange) -> _Edit:
    route, first, prefix = _route(lines, root, change.place)
    above = first
    while above > 0 and lines[above - 1].strip().startswith(REMARK.strip()):
        above -= 1
    if route.flow_style:
        old = {key.value: _plain(value) for key, value in route.value}
        chunks = [_fresh(key, value) for key, value in updated(old, change.values).items()]
    else:
        chunks = _changed(_chunks(lines, route), change.values)
    if not chunks:
        raise CannotEdit(f"line {first + 1}: nothing would be left of the route")
    outer = prefix[: len(prefix) - len(prefix.lstrip())] if change.place is not None else ""
    head: list[str] = []
    if change.place is None:
        head = ["default:"] if route.flow_style else list(lines[first : _line(route)])
    new = [*_remarks(change.remarks, outer), *head, *_laid_out(chunks, prefix)]
    return _Edit(above, _last_line(route) + 1, new)


def _route(lines: Sequence[str], root: MappingNode, place: RoutePlace) -> tuple[MappingNode, int, str]:
    """The route's node, its first line, and what stands on its first line before the first key."""
    if place is None:
        key, node = next((pair for pair in root.value if pair[0].value == "default"), (None, None))
        if key is None or not isinstance(node, MappingNode):
            raise CannotEdit("the policy has no default route of its own")
        _no_reference(node, key)
        indent = "  " if node.flow_style else " " * node.start_mark.column
        return node, key.start_mark.line, indent
    sequence = _routes(root)
    if sequence is None or place >= len(sequence.value):
        raise CannotEdit(f"the policy has no route {place} of its own")
    if sequence.flow_style:
        raise CannotEdit(f"line {_line(sequence) + 1}: write each route on lines of its own, with a dash")
    node = sequence.value[place]
    if not isinstance(node, MappingNode):
        raise CannotEdit(f"line {_line(node) + 1}: a route is a mapping")
    _no_reference(node, sequence)
    line = lines[_line(node)]
    prefix = line[: node.start_mark.column]
    if prefix.strip() != "-":
        raise CannotEdit(f"line {_line(node) + 1}: the route does not begin on the line of its dash")
    return node, _line(node), prefix


def _no_reference(node: Node, parent: Node) -> None:
    """A reference's node stands where its anchor was written, possibly elsewhere."""
    marks = [node.start_mark.index]
    if isinstance(node, MappingNode):
        marks += [mark.start_mark.index for pair in node.value for mark in pair]
        if any(key.value == "<<" for key, _ in node.value):
            raise CannotEdit(f"line {_line(node) + 1}: the route takes keys from elsewhere with `<<`")
    if min(marks) < parent.start_mark.index or marks != sorted(marks):
        raise CannotEdit(f"line {_line(node) + 1}: the route, or a part of it, is a reference to an anchor")


def _chunks(lines: Sequence[str], route: MappingNode) -> list[_Chunk]:
    chunks: list[_Chunk] = []
    begin = _line(route)
    for key, value in route.value:
        start, last, column = _line(key), _last_line(value), key.start_mark.column
        own = [lines[start][column:], *lines[start + 1 : last + 1]]
        whole = _line(value) == start == last and not _is_block(value)
        span = (value.start_mark.column - column, value.end_mark.column - column) if whole else None
        chunks.append(_Chunk(key.value, lines[begin:start], own, span))
        begin = last + 1
    return chunks


def _changed(chunks: Sequence[_Chunk], values: Mapping[str, Any]) -> list[_Chunk]:
    """In the old order. What answers a request stays where it stood, whichever key it now takes."""
    places = {chunk.key for chunk in chunks}
    fresh = [key for key, value in values.items() if value is not None and key not in places]
    found: list[_Chunk] = []
    for chunk in chunks:
        if chunk.key not in values:
            found.append(chunk)
        elif values[chunk.key] is not None:
            found.append(_revalued(chunk, values[chunk.key]))
        elif fresh and chunk.key in _ANSWERS and fresh[0] in _ANSWERS:
            key = fresh.pop(0)
            found.append(_fresh(key, values[key], chunk.before))
    return found + [_fresh(key, values[key]) for key in fresh]


_ANSWERS = ("model", "stages", "any_of", "quality")


def _revalued(chunk: _Chunk, value: Any) -> _Chunk:
    """A value on one line is replaced where it stands, and keeps the comment behind it."""
    new = _fresh(chunk.key, value, chunk.before)
    if chunk.span is None or len(new.lines) > 1:
        return new
    start, end = chunk.span
    head, tail = chunk.lines[0][:start], chunk.lines[0][end:]
    return _Chunk(chunk.key, chunk.before, [f"{head}{_flow(value)}{tail}"])


def _laid_out(chunks: Sequence[_Chunk], prefix: str) -> list[str]:
    """The first key goes behind `prefix`, which may hold a dash, so comments before it go above."""
    indent = " " * len(prefix)
    lines: list[str] = []
    for index, chunk in enumerate(chunks):
        head, *rest = chunk.lines
        lines += [*chunk.before, (indent if index else prefix) + head]
        lines += [indent + line for line in rest] if chunk.fresh else rest
    return lines


def _additions(lines: Sequence[str], root: MappingNode, additions: Sequence[NewRoute]) -> list[_Edit]:
    sequence = _routes(root)
    if not additions:
        return []
    if sequence is None:
        after = _before_default(lines, root)
        rendered = [line for each in additions for line in (*_new_route(each, "  "), "")]
        return [_Edit(after, after, ["model_routing:", *rendered])]
    if sequence.flow_style:
        raise CannotEdit(f"line {_line(sequence) + 1}: write each route on lines of its own, with a dash")
    outer = " " * sequence.start_mark.column
    edits = []
    for each in additions:
        if each.before is None or each.before >= len(sequence.value):
            at = _last_line(sequence) + 1
            edits.append(_Edit(at, at, ["", *_new_route(each, outer)]))
        else:
            _, first, _ = _route(lines, root, each.before)
            at = _above_comments(lines, first)
            edits.append(_Edit(at, at, [*_new_route(each, outer), ""]))
    return edits


def _new_route(route: NewRoute, outer: str) -> list[str]:
    chunks = [_fresh(key, value) for key, value in route.values.items() if value is not None]
    return [*_remarks(route.remarks, outer), *_laid_out(chunks, f"{outer}- ")]


def _remarks(remarks: Sequence[str], outer: str) -> list[str]:
    """Each stays a comment, whatever names it cites; a long one goes on, indented."""
    wrapper = textwrap.TextWrapper(
        _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    lines = [line for remark in remarks for line in wrapper.wrap(remark)]
    return [f"{outer}{REMARK}{line}" for line in lines]


def _above_comments(lines: Sequence[str], first: int) -> int:
    while first > 0 and lines[first - 1].strip().startswith("#"):
        first -= 1
    return first


def _before_default(lines: Sequence[str], root: MappingNode) -> int:
    for key, _ in root.value:
        if key.value == "default":
            return _above_comments(lines, _line(key))
    return len(lines)


def _routes(root: MappingNode) -> SequenceNode | None:
    for key, value in root.value:
        if key.value == "model_routing":
            return value if isinstance(value, SequenceNode) and value.value else None
    return None


def _fresh(key: str, value: Any, before: Sequence[str] = ()) -> _Chunk:
    """On one line where it fits; a longer list has its entries below."""
    line = f"{key}: {_flow(value)}"
    if len(line) <= _WIDTH or not isinstance(value, list):
        return _Chunk(key, before, [line], fresh=True)
    return _Chunk(key, before, [f"{key}:", *(f"  - {_flow(each)}" for each in value)], fresh=True)


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _last_line(node: Node) -> int:
    """PyYAML ends a block at the next thing after it, comments and blank lines included."""
    if _is_block(node):
        children = (
            [each for pair in node.value for each in pair] if isinstance(node, MappingNode) else node.value
        )
        return max([_line(node), *map(_last_line, children)])
    after_text = isinstance(node, ScalarNode) and node.style in ("|", ">")
    return int(node.end_mark.line) - after_text


def _is_block(node: Node) -> bool:
    return isinstance(node, MappingNode | SequenceNode) and not node.flow_style


def _line(node: Node) -> int:
    return int(node.start_mark.line)


def _plain(node: Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))
