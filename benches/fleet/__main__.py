"""`make bench-fleet`: IKE SAs with Child SAs set up, and given new keys, by mobike and strongSwan in turn.

The responder is pinned to one core, the load generator (our own engine, the same for all) to another. Rounds alternate,
so that a machine whose speed drifts slows both; medians are compared. Prints a table for each kind of work and writes
benches/results/fleet.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Protocol

from rich.console import Console
from rich.table import Table

from benches.fleet import mobike, strongswan
from benches.fleet.work import WORKS, Work, write_papers
from tests.interop.rig.requirement import missing_for_strongswan

RESULTS = Path(__file__).parents[1] / "results" / "fleet.json"
RESPONDER_CORE = 0
LOADGEN_CORE = 1
SETTLE_S = 0.5
"""For work behind the last answer: events on their way to Python, freed memory."""


class Responder(Protocol):
    """What is measured."""

    def rss_bytes(self) -> int: ...

    def cpu_seconds(self) -> float: ...

    def sa_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round says of one responder; CPU is the responder's, user and system, for each set-up or rekeying."""

    cpu_us: float
    per_second: float
    rss_bytes_per_sa: float

    def ratio_to(self, other: "Figures") -> "Figures":
        return Figures(
            self.cpu_us / other.cpu_us,
            self.per_second / other.per_second,
            self.rss_bytes_per_sa / other.rss_bytes_per_sa,
        )


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the table."""

    name: str
    start: Callable[[Path, Work, Path], AbstractContextManager[Responder]]
    """In a folder of its own, for this work, with these papers."""
    natt_port: int
    own_prefix: bool
    """Its clients have an inner address each even without a pool."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it."""

    count: int
    window: int
    virtual_ip: bool


def contestants(pool: str | None) -> list[Contestant]:
    def ours(plane: str) -> Callable[[Path, Work, Path], AbstractContextManager[Responder]]:
        return lambda folder, work, papers: mobike.MobikeResponder(
            folder, work, papers, core=RESPONDER_CORE, plane=plane, pool=pool
        )

    rows = [
        Contestant("mobike", ours("userspace"), 24501, own_prefix=True),
        Contestant("mobike, null plane", ours("null"), 24501, own_prefix=True),
    ]
    missing = missing_for_strongswan()
    if missing is None:
        rows.append(
            Contestant(
                "strongswan",
                lambda folder, work, papers: strongswan.StrongswanResponder(
                    folder, work, papers, core=RESPONDER_CORE, pool=pool
                ),
                strongswan.PORT_NAT_T,
                own_prefix=False,
            )
        )
    else:
        print(f"strongSwan is left out: {missing}", file=sys.stderr)
    return rows


def measure(contestant: Contestant, work: Work, papers: Path, size: Size) -> Figures:
    """One fresh responder, all its set-ups, and new keys for all if that is the work."""
    with (
        tempfile.TemporaryDirectory(prefix="mobike-bench-") as folder,
        contestant.start(Path(folder), work, papers) as responder,
    ):
        time.sleep(SETTLE_S)
        rss, cpu = responder.rss_bytes(), responder.cpu_seconds()
        command = [
            "taskset", "-c", str(LOADGEN_CORE), sys.executable, "-m", "benches.fleet.loadgen", "--work", work.name,
            "--papers", str(papers), "--address", mobike.ADDRESS, "--natt-port", str(contestant.natt_port),
            "--count", str(size.count), "--window", str(size.window),
            *(["--virtual-ip"] if size.virtual_ip else []), *(["--own-prefix"] if contestant.own_prefix else []),
        ]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loadgen:
            assert loadgen.stdout is not None
            assert loadgen.stdin is not None
            per_second = _phase(contestant.name, loadgen.stdout)
            rss = responder.rss_bytes() - rss
            if work.rekey:
                cpu = responder.cpu_seconds()
                print(file=loadgen.stdin, flush=True)
                per_second = _phase(contestant.name, loadgen.stdout)
            cpu = responder.cpu_seconds() - cpu
            present = responder.sa_count()
            loadgen.communicate("\n")
        if present != size.count:
            raise SystemExit(f"{contestant.name}: {present} SAs at the responder; {size.count} were wanted")
        return Figures(cpu / size.count * 1e6, per_second, rss / size.count)


def _phase(name: str, told: IO[str]) -> float:
    outcome = json.loads(told.readline())
    if outcome["done"] != outcome["wanted"]:
        raise SystemExit(f"{name}: {outcome}")
    time.sleep(SETTLE_S)
    per_second: float = outcome["per_second"]
    return per_second


def medians(rounds: list[Figures]) -> Figures:
    return Figures(
        statistics.median(each.cpu_us for each in rounds),
        statistics.median(each.per_second for each in rounds),
        statistics.median(each.rss_bytes_per_sa for each in rounds),
    )


def show(console: Console, result: dict[str, Figures], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("responder", "CPU each", "per second", "memory per SA", "CPU", "rate", "memory"):
        table.add_column(heading, justify="left" if heading == "responder" else "right")
    base = result.get("strongswan")
    for name, figures in result.items():
        ratio = ["-"] * 3 if base is None else [f"{value:.2f}" for value in asdict(figures.ratio_to(base)).values()]
        table.add_row(
            name, f"{figures.cpu_us:.0f} us", f"{figures.per_second:.0f}",
            f"{figures.rss_bytes_per_sa / 1000:.2f} kB", *ratio,
        )  # fmt: skip
    console.print(table)


def compare(console: Console, work: Work, size: Size, rounds: int, pool: str | None) -> dict[str, Figures]:
    """All that know the work, in turn."""
    rows = [row for row in contestants(pool) if work.strongswan or row.name != "strongswan"]
    seen: dict[str, list[Figures]] = {row.name: [] for row in rows}
    with tempfile.TemporaryDirectory(prefix="mobike-bench-papers-") as papers:
        write_papers(Path(papers), size.count)
        for number in range(rounds):
            for row in rows:
                told = f"{work.name}, round {number + 1} of {rounds}: {row.name} …"
                console.print(told, style="dim", highlight=False)
                seen[row.name].append(measure(row, work, Path(papers), size))
    result = {name: medians(each) for name, each in seen.items()}
    how = "virtual addresses from a pool" if size.virtual_ip else "no virtual addresses"
    show(console, result, f"{size.count} {work.what}; {how}; right: ratio to strongSwan")
    return result


def written(result: dict[str, Figures]) -> dict[str, object]:
    rows: dict[str, object] = {name.replace(", ", "_").replace(" ", "_"): asdict(each) for name, each in result.items()}
    if "strongswan" in result:
        rows["ratio"] = asdict(result["mobike"].ratio_to(result["strongswan"]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", choices=[*WORKS, "all"], default=["psk"])
    parser.add_argument("--count", type=int, default=1000, help="SAs per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=32, help="under way at any time")
    parser.add_argument("--pool", action="store_true", help="clients ask for virtual addresses")
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("the bench needs two cores: one for the responder, one for the load")
    console = Console()
    size = Size(arguments.count, arguments.window, arguments.pool)
    pool = strongswan.POOL if arguments.pool else None
    results: dict[str, object] = {}
    for name in WORKS if "all" in arguments.work else arguments.work:
        results[name] = written(compare(console, WORKS[name], size, arguments.rounds, pool))
    results["how"] = {**vars(arguments), "machine": f"{os.cpu_count()} cores, {platform.platform()}"}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"written to {RESULTS}", style="dim", highlight=False)


if __name__ == "__main__":
    main()
