"""The reader of Markdown reads what the other tests here rely on."""

from tests.docs.pages import anchors, blocks, links, names, rows, section, sections

PAGE = """# Title
before
## `first` part
| key | default |
|---|---|
| `a` | `x \\| y` |
| `b` | |

```
# no heading
| no | row |
[no](link)
```
### inner
text [to](other.md#place)
## last
end
"""


def test_sections_end_where_the_next_of_their_level_begins() -> None:
    assert [each.title for each in sections(PAGE)] == ["Title", "`first` part", "inner", "last"]
    assert "other.md" in section(PAGE, "first part").text
    assert "other.md" not in section(PAGE, "first part").own
    assert "end" not in section(PAGE, "first part").text


def test_rows_leave_out_heads_and_code() -> None:
    assert rows(PAGE) == [["`a`", "`x | y`"], ["`b`", ""]]
    assert names("`a` and `b c`") == ["a", "b c"]


def test_blocks_links_and_anchors() -> None:
    assert blocks(PAGE) == ["# no heading\n| no | row |\n[no](link)\n"]
    assert links(PAGE) == ["other.md#place"]
    assert anchors(PAGE) == {"title", "first-part", "inner", "last"}
