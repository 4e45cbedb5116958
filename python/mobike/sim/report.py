"""What a run has shown, for people."""

from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Final

from mobike.sim.story import Line, Outcome, Recovery
from mobike.sim.world import SECOND

LONGEST: Final = 40
"""Characters of a fault in the table; the timeline has all of it."""
TITLES: Final = ("fault", "times", "to recover", "99th", "pings lost", "SAs moved in", "99th", "IKE packets")


def draw_line(line: Line) -> str:
    return f"{line.at / SECOND:10.3f} s  {line.who:<12} {line.text}"


def draw(outcome: Outcome) -> str:
    """The result: a table of faults, totals, and what was violated."""
    return "\n".join([*_table(outcome), "", *_totals(outcome), *_verdict(outcome)])


def _table(outcome: Outcome) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [TITLES]
    for what in dict.fromkeys(each.what for each in outcome.recoveries):
        rows.append(_row(what, [each for each in outcome.recoveries if each.what == what]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *rest = (cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in
                        enumerate(zip(row, widths, strict=True)))  # fmt: skip
        yield "  ".join([first, *rest])


def _row(what: str, found: Sequence[Recovery]) -> tuple[str, ...]:
    times = [each.recovered for each in found if each.recovered is not None]
    never = len(found) - len(times)
    moves = [move for each in found for move in each.moves]
    return (
        what if len(what) <= LONGEST else f"{what[: LONGEST - 3]}...",
        str(len(found)),
        "not before the next" if never else _span(_middle(times)),
        "" if never else _span(_late(times)),
        str(sum(each.lost for each in found)),
        _span(_middle(moves)),
        _span(_late(moves)),
        str(sum(each.packets for each in found)),
    )


def _totals(outcome: Outcome) -> Iterator[str]:
    sent = ", ".join(f"{count:,} {name}" for name, count in outcome.sent.items() if count)
    lost = ", ".join(f"{count:,} {why}" for why, count in sorted(outcome.lost.items()))
    settled = "not settled" if outcome.settled_after is None else f"settled after {_span(outcome.settled_after)}"
    yield f"{outcome.sas:,} SAs, {settled}; {outcome.pings_lost:,} of {outcome.pings:,} pings lost"
    yield f"sent: {sent}; not arrived: {lost or 'none'}"
    for name, octets in outcome.bystanders.items():
        yield f"{name}, who asked for nothing, got {octets:,} octets"


def _verdict(outcome: Outcome) -> Iterator[str]:
    if outcome.is_good:
        yield f"all rules held; again with --seed {outcome.seed}"
        return
    yield f"{len(outcome.violations)} violations; again with --seed {outcome.seed}:"
    for each in outcome.violations:
        yield f"  {each}"


def _middle(times: Sequence[int]) -> int | None:
    return round(median(times)) if times else None


def _late(times: Sequence[int]) -> int | None:
    if len(times) < 2:
        return _middle(times)
    return round(quantiles(times, n=100, method="inclusive")[98])


def _span(nanos: int | None) -> str:
    if nanos is None:
        return "-"
    if nanos == 0:
        return "0"
    return f"{nanos / 1e9:.2f} s" if nanos >= SECOND else f"{nanos / 1e6:.0f} ms"
