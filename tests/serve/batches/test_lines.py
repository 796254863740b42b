import json
from typing import Any

import pytest

from serve.batches.lines import MAX_LINE_BYTES, MAX_PROBLEMS, read_lines
from serve.batches.records import Problem


def line(custom_id: str = "a", **changes: Any) -> bytes:
    document = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/images/generations",
        "body": {"prompt": "a poster"},
        **changes,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def test_lines_keep_their_order_and_empty_ones_are_skipped() -> None:
    lines, problems = read_lines([line("b"), b"", b"  ", line("a")], 10)
    assert problems == []
    assert [each.custom_id for each in lines] == ["b", "a"]
    assert json.loads(lines[0].body) == {"prompt": "a poster"}


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (line(custom_id=None), "missing_parameter", "custom_id"),  # type: ignore[arg-type]
        (line(custom_id=""), "invalid_parameter", "custom_id"),
        (line(method="GET"), "invalid_parameter", "method"),
        (line(url="/v1/chat/completions"), "invalid_url", "url"),
        (line(extra=1), "unknown_parameter", "extra"),
        (line(body={}), "missing_parameter", "body.prompt"),
        (line(body={"prompt": "a", "promt": "b"}), "unknown_parameter", "body.promt"),
        (line(body={"prompt": "a", "atelier": {"sed": 1}}), "unknown_parameter", "body.atelier.sed"),
        (line(body={"prompt": "a", "n": "many"}), "invalid_parameter", "body.n"),
        (line(body={"prompt": "a", "stream": True}), "invalid_parameter", "body.stream"),
        (line(body={"prompt": "a" * MAX_LINE_BYTES}), "line_too_long", None),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(text: bytes, code: str, param: str | None) -> None:
    lines, problems = read_lines([line("good"), text], 10)
    assert [each.custom_id for each in lines] == ["good"]
    assert [(each.code, each.line, each.param) for each in problems] == [(code, 2, param)]


def test_an_id_twice_names_both_lines() -> None:
    _, problems = read_lines([line("a"), b"", line("a")], 10)
    expected = Problem("duplicate_custom_id", "custom_id 'a' is that of line 1 too", 3, "custom_id")
    assert problems == [expected]


def test_too_many_lines_are_refused_whatever_they_are() -> None:
    lines, problems = read_lines([line(str(index)) for index in range(4)], 3)
    assert lines == []
    assert [(each.code, each.line) for each in problems] == [("too_many_requests", 4)]


def test_a_file_of_nothing_but_problems_is_not_read_to_its_end() -> None:
    _, problems = read_lines((b"{" for _ in range(10**9)), 10**9)
    assert len(problems) == MAX_PROBLEMS


def test_an_empty_file_is_a_problem() -> None:
    assert [each.code for each in read_lines([b"\n", b""], 10)[1]] == ["empty_file"]


def test_links_are_refused_where_images_do_not_outlive_the_process() -> None:
    text = line(body={"prompt": "a", "response_format": "url"})
    assert [each.param for each in read_lines([text], 10, allow_urls=False)[1]] == ["body.response_format"]
    assert read_lines([text], 10, allow_urls=True)[1] == []
