"""What strangers may cost: the table, checked."""

from collections.abc import Callable

from mobike.config.locate import Key
from mobike.config.models import LimitsTable
from mobike.config.settings import LimitSettings, PrefixSettings, PuzzleSettings

__all__ = ["limits"]


def limits(table: LimitsTable, problem: Callable[[Key, str], None]) -> LimitSettings:
    """The settings; what contradicts is told to `problem`."""
    if table.cookie_threshold > table.max_half_open:
        problem(("limits", "cookie_threshold"), "is above max_half_open: cookies would never be asked for")
    prefix = PrefixSettings(**table.prefix.model_dump())
    if prefix.cookie_threshold > prefix.max:
        problem(("limits", "prefix", "cookie_threshold"), "is above max: cookies would never be asked for")
    for family in ("v4", "v6"):
        if getattr(prefix, f"network_{family}") > getattr(prefix, family):
            problem(("limits", "prefix", f"network_{family}"), f"is longer than {family}: a network holds its sites")
    puzzle = PuzzleSettings(**table.puzzle.model_dump())
    if 0 < puzzle.hardest < puzzle.easiest:
        problem(("limits", "puzzle", "hardest"), "is below easiest")
    return LimitSettings(
        table.cookie_threshold, table.max_half_open, table.max_ike_sas, prefix, puzzle, table.hardest_solved
    )
