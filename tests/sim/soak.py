"""A long run of chaos in as many processes as there are processors: `make soak SEEDS=10000 SEED=1`."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from mobike.sim import chaos, story
from mobike.sim.chaos import Kind

PORTION = 25
"""Seeds that one process takes at once."""


def violations(first: int, count: int, kind: Kind) -> list[tuple[int, str, int]]:
    """(seed, first violation or nothing, nanoseconds until settled) of some seeds."""
    found = []
    for seed in range(first, first + count):
        try:
            outcome = story.run(chaos.chaos(seed, kind), seed)
        except Exception as bug:
            found.append((seed, f"{type(bug).__name__}: {bug}", 0))
            continue
        found.append((seed, outcome.violations[0] if outcome.violations else "", outcome.settled_after or 0))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    kinds = [kind.name.lower() for kind in Kind]
    parser.add_argument("--kind", choices=kinds, default=max(Kind).name.lower(), help="how much may happen")
    arguments = parser.parse_args()
    kind = Kind[arguments.kind.upper()]
    began, done, bad, worst = time.monotonic(), 0, 0, (0, 0)
    with ProcessPoolExecutor(arguments.processes) as pool:
        end = arguments.first + arguments.seeds
        portions = [(at, min(PORTION, end - at)) for at in range(arguments.first, end, PORTION)]
        for future in as_completed([pool.submit(violations, *portion, kind) for portion in portions]):
            for seed, violation, settled in future.result():
                done += 1
                worst = max(worst, (settled, seed))
                if violation:
                    bad += 1
                    print(f"\rseed {seed}: {violation}")
            print(f"\r{done} of {arguments.seeds} seeds, {bad} bad", end="", flush=True)
    seconds = time.monotonic() - began
    print(f"\n{done / seconds:.1f} seeds/s; the slowest to settle was seed {worst[1]}: {worst[0] / 1e9:.1f} s")
    if bad:
        again = f"mobike sim run chaos --kind {arguments.kind} --seed N"
        print(f"{bad} of {done:,} seeds broke a rule; again, with every step told: {again}")
        return 1
    print(f"{done:,} seeds clean, {arguments.first} to {arguments.first + done - 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
