"""How a benchmark prints: wide enough that a table pasted into a document stays whole."""

from rich.console import Console
from rich.table import Table


def show(table: Table) -> None:
    Console(width=140).print(table)
