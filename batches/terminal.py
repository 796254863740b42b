"""Shows a run in a terminal: a bar while it goes on, what came of it at the end."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from batches.manifest import Entry

LINE_INTERVAL_S = 10.0
SPEED_PERIOD_S = 60.0


class BarProgress:
    def __init__(self, bar: Progress, task: TaskID, failed: int) -> None:
        self._bar = bar
        self._task = task
        self._failed = failed

    def ended(self, entry: Entry) -> None:
        self._failed += not entry.ok
        self._bar.update(self._task, advance=1, failed=self._failed)


class LineProgress:
    """For logs: a line now and then."""

    def __init__(self, console: Console, ended: int, failed: int, total: int) -> None:
        self._console = console
        self._ended = ended
        self._failed = failed
        self._total = total
        self._begun_at = ended
        self._begun_s = self._said_s = time.monotonic()

    def ended(self, entry: Entry) -> None:
        self._ended += 1
        self._failed += not entry.ok
        now_s = time.monotonic()
        if now_s - self._said_s >= LINE_INTERVAL_S:
            self._said_s = now_s
            left_s = (self._total - self._ended) * (now_s - self._begun_s) / (self._ended - self._begun_at)
            self._console.print(
                f"{self._ended}/{self._total} items, {self._failed} failed, about {left_s:.0f} s left"
            )


@contextmanager
def showing(console: Console, before: Iterable[Entry], total: int) -> Iterator[BarProgress | LineProgress]:
    """`before` are the items that had ended already."""
    entries = list(before)
    failed = sum(not entry.ok for entry in entries)
    if not console.is_terminal:
        yield LineProgress(console, len(entries), failed, total)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=SPEED_PERIOD_S) as bar:
        task = bar.add_task("items", total=total, completed=len(entries), failed=failed)
        yield BarProgress(bar, task, failed)


def summary(entries: Iterable[Entry], total: int) -> Table:
    """What ended how, with what it cost."""
    entries = list(entries)
    table = Table("ended as", "items", "substituted", "GPU s", "USD", box=None)
    rendered = [entry.receipt or {} for entry in entries if entry.ok]
    table.add_row(
        "ok",
        str(len(rendered)),
        str(sum(bool(receipt.get("substituted")) for receipt in rendered)),
        f"{_sum(rendered, 'gpu_s'):.1f}",
        f"{_sum(rendered, 'cost_usd'):.4f}",
    )
    codes = Counter(entry.error["code"] for entry in entries if entry.error is not None)
    for code, count in codes.most_common():
        table.add_row(f"[red]{code}[/]", str(count))
    if total > len(entries):
        table.add_row("[yellow](not rendered)[/]", str(total - len(entries)))
    return table


def _sum(receipts: Iterable[Any], name: str) -> float:
    values = (receipt.get(name) for receipt in receipts)
    return sum(value for value in values if isinstance(value, int | float))
