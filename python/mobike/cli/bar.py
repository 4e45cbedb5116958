"""A bar on the error output: how far an order has come. Read only where one is drawn."""

from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

_ROOMY: Final = 100
"""Columns of a terminal in which there is room for how long it has taken."""
_SHORTEST: Final = 4
_CTRL_C: Final = 3


def bar(*, more: str = "", disable: bool = False) -> Progress:
    """As wide as the terminal: what is said beside it is never cut, it takes what is left. Behind it there is room for
    the ^C that a terminal shows; else that breaks the line, and the bar stays. `more` is a field of its task."""
    console = Console(highlight=False, stderr=True)
    console.width = max(_SHORTEST, console.width - _CTRL_C)
    told: list[ProgressColumn] = [MofNCompleteColumn(table_column=_whole())]
    if more:
        told.append(TextColumn(f"{{task.fields[{more}]}}", table_column=_whole()))
    if console.width >= _ROOMY:
        told.append(TimeElapsedColumn(table_column=_whole()))
    return Progress(
        TextColumn("{task.description}", table_column=_whole()),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=_SHORTEST)),
        *told,
        TimeRemainingColumn(table_column=_whole()),
        TextColumn("left", table_column=_whole()),
        console=console,
        transient=True,
        expand=True,
        disable=disable or not console.is_terminal,
    )


def _whole() -> Column:
    """Never cut."""
    return Column(no_wrap=True)
