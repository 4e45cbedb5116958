"""What each kind of move costs with ESP in the kernel, ours beside strongSwan. `python -m benches.moves`

A kernel with IPsec is booted, and in it tunnels move under a thousand datagrams a second each way, on one network of
namespaces: between two of ours, between two strongSwans, and between one of each. Lost datagrams are counted by number.
Written to benches/results/moves.md, and with --page into docs/kernel.md; a part is only printed.
"""

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from tests.interop.rig import Charon, Mobike
from tests.lab.journeys import ROUTES, Kind, Route, journey
from tests.lab.uml import INSIDE, Done, LabError, boot

RESULTS: Final = Path(__file__).parent / "results" / "moves.md"
PAGE: Final = Path(__file__).parents[1] / "docs" / "kernel.md"
BEGIN: Final = "<!-- what `python -m benches.moves --page` measured -->"
END: Final = "<!-- until here -->"
PAIRS: Final[tuple[tuple[str, Kind, Kind], ...]] = (
    ("ours with ours", Mobike, Mobike),
    ("our client, strongSwan", Mobike, Charon),
    ("strongSwan, our gateway", Charon, Mobike),
    ("strongSwan with strongSwan", Charon, Charon),
)
LONGEST_S: Final = 3600.0
STAYS: Final = "stays"
WRONG: Final = "ends wrong"
NOT_UP: Final = "does not come up"
UNTRIED: Final = "not tried"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one move, once."""

    move: str
    pair: str
    lost: tuple[int, int] | None
    """From the client, and to it; None: it did not move."""
    why: str = ""
    """Then: a word for the table."""
    rows: int = 0
    """Rows of lost numbers, of the direction that had more."""


def measure(runs: int, only: str, moves: str) -> Iterator[Cost]:
    """Every pair on every route."""
    routes = [route for route in ROUTES if any(moves in move.name for move in route.moves)]
    for _ in range(runs):
        for route in routes:
            for pair, client, gateway in PAIRS:
                if only in pair:
                    yield from travel(route, pair, client, gateway)


def travel(route: Route, pair: str, client: Kind, gateway: Kind) -> Iterator[Cost]:
    """One tunnel, as far as it comes."""
    left = list(route.moves)
    why = NOT_UP
    try:
        with TemporaryDirectory(prefix="mbk-moves-") as folder, journey(Path(folder), route, client, gateway) as trip:
            why = STAYS
            for move in route.moves:
                if move.silent and not trip.seeks_the_best:
                    break  # it tests its peer, and no other path
                leg = trip.make(move)
                lost = len(leg.out.lost), len(leg.back.lost)
                yield Cost(move.name, pair, lost, rows=max(leg.out.gaps, leg.back.gaps))
                left.remove(move)
    except TimeoutError as problem:
        print(f"{pair}, {route.name}: {problem}", file=sys.stderr)
    except (AssertionError, RuntimeError) as problem:
        why = WRONG
        print(f"{pair}, {route.name}: {problem!r}", file=sys.stderr)
    for move in left:
        yield Cost(move.name, pair, None, why)
        why = why if why == NOT_UP else UNTRIED


def table(costs: Sequence[Cost]) -> str:
    """Markdown: a row for each kind of move, a column for each pair."""
    found: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for each in costs:
        found[each.move, each.pair].append(each)
    pairs = [pair for pair, _, _ in PAIRS if any(each.pair == pair for each in costs)]
    lines = [["move", *pairs], ["---", *("--:" for _ in pairs)]]
    for move in dict.fromkeys(each.move for each in costs):
        lines.append([move, *(cell(found[move, pair]) for pair in pairs)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(costs: Sequence[Cost]) -> str:
    """The median of what was lost each way."""
    moved = [each for each in costs if each.lost is not None]
    if not moved:
        return next((each.why for each in costs if each.why), UNTRIED)
    out, back = (median(each.lost[way] for each in moved if each.lost is not None) for way in (0, 1))
    return f"{out:.0f} + {back:.0f}"


def inside(runs: int, only: str, moves: str, results: Path) -> None:
    """Each as soon as it is known: a boot that ends early has measured something, too."""
    with results.open("w") as file:
        for each in measure(runs, only, moves):
            file.write(json.dumps([each.move, each.pair, each.lost, each.why, each.rows]) + "\n")
            file.flush()


def outside(runs: int, only: str, moves: str, *, page: bool) -> int:
    with TemporaryDirectory(prefix="mbk-moves-") as folder:
        results = Path(folder) / "costs"
        argv = [sys.executable, "-m", "benches.moves", "--runs", str(runs), "--only", only, "--moves", moves]
        argv += ["--inside", str(results)]
        results.touch()
        try:
            done = boot(argv, Path(folder) / "lab", timeout=LONGEST_S)
        except LabError as problem:
            done = Done(1, str(problem))  # what it measured until then stands
        print(done.log, file=sys.stderr)
        lines = [json.loads(line) for line in results.read_text().splitlines()]
    costs = [Cost(move, pair, None if lost is None else (lost[0], lost[1]), *rest) for move, pair, lost, *rest in lines]
    text = table(costs)
    print(text)
    if only or moves:
        return done.status  # it is a part
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{text}\n")
    if page:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    return done.status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="pairs whose name has this")
    parser.add_argument("--moves", default="", help="routes with a move whose name has this")
    parser.add_argument("--page", action="store_true", help="write the table into docs/kernel.md")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is not None or os.environ.get(INSIDE):
        inside(arguments.runs, arguments.only, arguments.moves, arguments.inside)
        return 0
    if arguments.page and (arguments.only or arguments.moves):
        parser.error("--page is for the whole table: leave out --only and --moves")
    return outside(arguments.runs, arguments.only, arguments.moves, page=arguments.page)


if __name__ == "__main__":
    sys.exit(main())
