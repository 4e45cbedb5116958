"""Time to recover and packets sent, for every shipped scenario of the simulated network. `python -m benches.recovery`

Each scenario runs with many seeds: weather, jitter and ports differ, faults do not. Times are those of the world: the
machine does not matter. Written to benches/results/recovery.md and printed.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from mobike.sim import scenario, story
from mobike.sim.story import Recovery

RESULTS: Final = Path(__file__).parent / "results" / "recovery.md"
SEEDS: Final = 50
CROWD: Final = 200
"""SAs of a crowd: the big ones are for `mobike sim run uplink --sas 100000`."""
TITLES: Final = ("scenario", "fault", "to recover", "99 %", "pings lost", "SAs moved in", "99 %", "IKE messages")


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario with one seed."""

    name: str
    seed: int
    recoveries: tuple[Recovery, ...]
    violations: tuple[str, ...]


def one(job: tuple[str, int, int]) -> Run:
    """Run one."""
    name, seed, sas = job
    outcome = story.run(scenario.read(name, scenario.shipped()[name], sas=sas), seed)
    return Run(name, seed, outcome.recoveries, outcome.violations)


def rows(name: str, runs: Sequence[Run]) -> Iterator[tuple[str, ...]]:
    """One for each fault of a scenario that cost something."""
    kinds = dict.fromkeys(each.what for run in runs for each in run.recoveries)
    for what in kinds:
        found = [each for run in runs for each in run.recoveries if each.what == what]
        times = [each.recovered for each in found if each.recovered is not None]
        moves = [move for each in found for move in each.moves]
        lost = [each.lost for each in found]
        if not any(times) and not moves and len(times) == len(found):
            continue
        missed = len(found) - len(times)
        yield (
            name,
            what if len(found) == len(runs) else f"{what} (x{len(found) // len(runs)})",
            span(times, 50) + (f" ({missed} not before the next)" if missed else ""),
            span(times, 99),
            f"{median(lost):.0f}",
            span(moves, 50),
            span(moves, 99),
            f"{median(each.packets for each in found):,.0f}",
        )


def span(times: Sequence[int], percent: int) -> str:
    """A percentile in words."""
    if not times:
        return "-"
    value = times[0] if len(times) == 1 else quantiles(times, n=100, method="inclusive")[percent - 1]
    return f"{value / 1e9:.2f} s" if value >= 1e9 else f"{value / 1e6:.0f} ms"


def table(lines: Sequence[tuple[str, ...]]) -> str:
    """Markdown that is a table without being rendered, too."""
    everything = [TITLES, *lines]
    widths = [max(len(row[column]) for row in everything) for column in range(len(TITLES))]
    left = 2

    def draw(row: tuple[str, ...]) -> str:
        cells = [cell.ljust(widths[at]) if at < left else cell.rjust(widths[at]) for at, cell in enumerate(row)]
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (width + 2) if at < left else "-" * (width + 1) + ":" for at, width in enumerate(widths))
    return "\n".join([draw(TITLES), f"|{rule}|", *map(draw, lines)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--sas", type=int, default=CROWD)
    arguments = parser.parse_args()
    names = list(scenario.shipped())
    jobs = [(name, seed, arguments.sas) for name in names for seed in range(1, arguments.seeds + 1)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(one, jobs, chunksize=5))
    lines = [row for name in names for row in rows(name, [run for run in runs if run.name == name])]
    text = table(lines)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{text}\n\n{arguments.seeds} seeds each; crowds of {arguments.sas} SAs.\n")
    print(f"{text}\n\n{arguments.seeds} seeds each; written to {RESULTS.relative_to(Path.cwd())}")
    broken = [run for run in runs if run.violations]
    for run in broken:
        print(f"a rule was broken: mobike sim run {run.name} --seed {run.seed}: {run.violations[0]}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
