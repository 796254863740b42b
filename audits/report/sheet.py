"""Contact sheets: one row per question, one column per variant, the worst questions first."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from audits.report.figures import Document, plural, thumbnail

OPEN_ROWS = 8
"""The rows shown at once; the others unfold."""
MOST_ROWS = 60


def contact_sheet(
    asset: str,
    variants: Sequence[str],
    samples: Sequence[Document],
    pictures: Mapping[str, Path],
    first: str | None,
) -> str:
    """Worst for `first`, the variant that would be shipped, then worst for all. `pictures` are paths by
    sample."""
    questions: dict[str, dict[str, Document]] = {}
    for sample in samples:
        questions.setdefault(sample["question"], {})[sample["variant"]] = sample
    ordered = sorted(
        questions.values(),
        key=lambda row: (-_badness(row.get(first or "")), -sum(map(_badness, row.values()))),
    )
    rows = [_row(row, variants, pictures) for row in ordered[:MOST_ROWS]]
    heads = "".join(f'<div role="columnheader">{escape(each)}</div>' for each in ("Asked for", *variants))
    head = f'<div class="row heads" role="row">{heads}</div>'
    shown = _table(f"{asset}: pictures, worst first", head, rows[:OPEN_ROWS])
    if folded := rows[OPEN_ROWS:]:
        more = _table(f"{asset}: more pictures", head, folded)
        shown += f"<details><summary>{plural(len(folded), 'more question')}</summary>{more}</details>"
    if (left := len(ordered) - MOST_ROWS) > 0:
        shown += (
            f'<p class="quiet">{plural(left, "more question")} in the run\'s folder, with less to see.</p>'
        )
    return f'<div style="--columns: {len(variants)}">{shown}</div>'


def _table(name: str, head: str, rows: Sequence[str]) -> str:
    return f'<div class="sheet" role="table" aria-label="{escape(name)}">{head}{"".join(rows)}</div>'


def _badness(sample: Document | None) -> int:
    if sample is None:
        return 0
    said = sum(bool(word["fix"]) for word in sample["words"])
    missed = sum(not each["passed"] for each in sample["readings"])
    lost = sample["error"] is not None
    return 100 * lost + 10 * said + missed


def _row(row: Mapping[str, Document], variants: Sequence[str], pictures: Mapping[str, Path]) -> str:
    sample = next(iter(row.values()))
    prompt, seed = escape(sample["prompt"]), sample["seed"]
    asked = f'<div class="asked" role="rowheader">{prompt}<small>seed {seed}</small></div>'
    cells = "".join(_cell(each, row.get(each), pictures) for each in variants)
    return f'<div class="row" role="row">{asked}{cells}</div>'


def _cell(variant: str, sample: Document | None, pictures: Mapping[str, Path]) -> str:
    if sample is None:
        return '<div class="shot" role="cell"><span class="none">not asked</span></div>'
    missed = [each for each in sample["readings"] if not each["passed"]]
    path = pictures.get(sample["id"])
    shown = (
        f'<span class="none">{escape(sample["error"] or "no picture")}</span>'
        if path is None
        else thumbnail(path, f"{variant}: {sample['prompt']}")
    )
    notes = "".join(f"<li><b>{escape(each['criterion'])}</b> {escape(each['note'])}</li>" for each in missed)
    said = sample["words"]
    if said:
        would = f"{sum(word['fix'] for word in said)} of {plural(len(said), 'person', 'people')} would fix it"
        notes += f'<li class="people">{would}</li>'
    kind = "bad" if missed or path is None else "fine"
    name = f'<span class="variant">{escape(variant)}</span>'
    return f'<div class="shot {kind}" role="cell">{name}{shown}<ul>{notes}</ul></div>'
