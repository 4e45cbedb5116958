"""`make bench-fleet`: setting up IKE SAs with Child SAs, mobike and strongSwan in turn on the same machine.

The responder is pinned to one core, the load generator (our own engine, the same for all) to another. Rounds alternate,
so that a machine whose speed drifts slows both; medians are compared. Prints a table and writes
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
from typing import Protocol

from rich.console import Console
from rich.table import Table

from benches.fleet import mobike, strongswan
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
    """What one round says of one responder; CPU is the responder's, user and system."""

    setup_cpu_us: float
    setups_per_s: float
    rss_bytes_per_sa: float

    def ratio_to(self, other: "Figures") -> "Figures":
        return Figures(
            self.setup_cpu_us / other.setup_cpu_us,
            self.setups_per_s / other.setups_per_s,
            self.rss_bytes_per_sa / other.rss_bytes_per_sa,
        )


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the table."""

    name: str
    start: Callable[[Path], AbstractContextManager[Responder]]
    address: str
    natt_port: int
    identity: str
    psk: str


def contestants(pool: str | None) -> list[Contestant]:
    def ours(plane: str) -> Callable[[Path], AbstractContextManager[Responder]]:
        return lambda folder: mobike.MobikeResponder(folder, core=RESPONDER_CORE, plane=plane, pool=pool)

    rows = [
        Contestant("mobike", ours("userspace"), mobike.ADDRESS, 24501, mobike.IDENTITY, mobike.SECRET),
        Contestant("mobike, null plane", ours("null"), mobike.ADDRESS, 24501, mobike.IDENTITY, mobike.SECRET),
    ]
    missing = missing_for_strongswan()
    if missing is None:
        rows.append(
            Contestant(
                "strongswan",
                lambda folder: strongswan.StrongswanResponder(folder, core=RESPONDER_CORE, pool=pool),
                mobike.ADDRESS,
                strongswan.PORT_NAT_T,
                strongswan.IDENTITY,
                strongswan.SECRET,
            )
        )
    else:
        print(f"strongSwan is left out: {missing}", file=sys.stderr)
    return rows


def measure(contestant: Contestant, *, count: int, window: int, virtual_ip: bool) -> Figures:
    """One fresh responder, `count` set-ups."""
    with tempfile.TemporaryDirectory(prefix="mobike-bench-") as folder, contestant.start(Path(folder)) as responder:
        time.sleep(SETTLE_S)
        rss, cpu = responder.rss_bytes(), responder.cpu_seconds()
        command = [
            "taskset", "-c", str(LOADGEN_CORE), sys.executable, "-m", "benches.fleet.loadgen",
            "--address", contestant.address, "--natt-port", str(contestant.natt_port),
            "--identity", contestant.identity, "--psk", contestant.psk,
            "--count", str(count), "--window", str(window), *(["--virtual-ip"] if virtual_ip else []),
        ]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loadgen:
            assert loadgen.stdout is not None
            line = loadgen.stdout.readline()
            time.sleep(SETTLE_S)
            cpu, rss = responder.cpu_seconds() - cpu, responder.rss_bytes() - rss
            present = responder.sa_count()
            loadgen.communicate("")
        outcome = json.loads(line)
        if outcome["up"] != count or outcome["children"] != count or present != count:
            raise SystemExit(f"{contestant.name}: {outcome} and {present} SAs at the responder; {count} were wanted")
        return Figures(cpu / count * 1e6, outcome["setups_per_s"], rss / count)


def medians(rounds: list[Figures]) -> Figures:
    return Figures(
        statistics.median(each.setup_cpu_us for each in rounds),
        statistics.median(each.setups_per_s for each in rounds),
        statistics.median(each.rss_bytes_per_sa for each in rounds),
    )


def show(console: Console, result: dict[str, Figures], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("responder", "CPU per set-up", "set-ups per second", "memory per SA", "CPU", "rate", "memory"):
        table.add_column(heading, justify="left" if heading == "responder" else "right")
    base = result.get("strongswan")
    for name, figures in result.items():
        ratio = ["-"] * 3 if base is None else [f"{value:.2f}" for value in asdict(figures.ratio_to(base)).values()]
        table.add_row(
            name, f"{figures.setup_cpu_us:.0f} us", f"{figures.setups_per_s:.0f}",
            f"{figures.rss_bytes_per_sa / 1000:.2f} kB", *ratio,
        )  # fmt: skip
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="SAs per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=32, help="set-ups under way at any time")
    parser.add_argument("--pool", action="store_true", help="clients ask for virtual addresses")
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("the bench needs two cores: one for the responder, one for the load")
    console = Console()
    pool = strongswan.POOL if arguments.pool else None
    rows = contestants(pool)
    seen: dict[str, list[Figures]] = {row.name: [] for row in rows}
    for number in range(arguments.rounds):
        for row in rows:
            console.print(f"round {number + 1} of {arguments.rounds}: {row.name} …", style="dim", highlight=False)
            figures = measure(row, count=arguments.count, window=arguments.window, virtual_ip=arguments.pool)
            seen[row.name].append(figures)
    result = {name: medians(rounds) for name, rounds in seen.items()}
    how = "virtual addresses from a pool" if arguments.pool else "no virtual addresses"
    show(console, result, f"{arguments.count} IKE SAs with a Child SA each, {how}; right: ratio to strongSwan")
    written: dict[str, object] = {
        name.replace(", ", "_").replace(" ", "_"): asdict(each) for name, each in result.items()
    }
    if "strongswan" in result:
        written["ratio"] = asdict(result["mobike"].ratio_to(result["strongswan"]))
    written["how"] = {**vars(arguments), "machine": f"{os.cpu_count()} cores, {platform.platform()}"}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(written, indent=2) + "\n")
    console.print(f"written to {RESULTS}", style="dim", highlight=False)


if __name__ == "__main__":
    main()
