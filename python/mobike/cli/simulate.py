"""`mobike sim`: watch the real engine and the real fleet in a simulated network, and hold them to their rules."""

import sys
from pathlib import Path
from random import SystemRandom
from typing import Final

from mobike.cli.failure import ExitCode, Failure
from mobike.cli.plain import plain
from mobike.sim import chaos, report, scenario, story
from mobike.sim.world import SECOND

MOST_SEED: Final = 1_000_000
FOLD: Final = SECOND
"""Lines of one kind of one host within so long are told as one, when there is a crowd."""
CLEAR: Final = "\x1b[K"


def listing() -> str:
    """Name and title of each scenario."""
    titles = {name: scenario.read(name, text).title for name, text in scenario.shipped().items()}
    titles[chaos.NAME] = "Chance: another topology and other faults for each seed"
    width = max(map(len, titles))
    return "\n".join(f"{name:<{width}}  {title}" for name, title in titles.items())


def run(name: str, seed: int | None, *, sas: int | None, kind: str | None = None, timeline: bool) -> int:
    """Run one, print what happens and what came of it; 0 if all rules held, else 1. `kind` is one of chaos."""
    if seed is None:
        seed = SystemRandom().randrange(MOST_SEED)
    chosen = _find(name, seed, sas, _kind(kind))
    print(f"{chosen.title} (seed {seed})\n")
    if chosen.story:
        print(f"{chosen.story}\n")
    screen = Screen(timeline=timeline, folds=any(host.crowd for host in chosen.hosts.values()))
    outcome = story.run(chosen, seed, screen.tell, screen.look)
    screen.close()
    print(("\n" if timeline else "") + plain(report.draw(outcome)))
    return 0 if outcome.is_good else 1


def _kind(name: str | None) -> chaos.Kind:
    """Of chaos; all that may happen unless one is named."""
    known = {kind.name.lower(): kind for kind in chaos.Kind}
    if name is not None and name not in known:
        raise Failure(f"{name} is no kind of chaos", hint=f"There are {', '.join(known)}", code=ExitCode.USAGE)
    return max(known.values()) if name is None else known[name]


def _find(name: str, seed: int, sas: int | None, kind: chaos.Kind) -> scenario.Scenario:
    if name == chaos.NAME:
        return chaos.chaos(seed, kind)
    shipped = scenario.shipped()
    text = shipped.get(name)
    try:
        if text is None:
            text = Path(name).read_text(encoding="utf-8")
        return scenario.read(name, text, sas=sas)
    except FileNotFoundError as error:
        hint = f"`mobike sim list` shows them; a file is taken too. Shipped: {', '.join(shipped)}, {chaos.NAME}"
        raise Failure(f"there is no scenario {name}", hint=hint, code=ExitCode.USAGE) from error
    except (OSError, scenario.ScenarioError) as error:
        raise Failure(str(error), code=ExitCode.USAGE) from error


class Screen:
    """The timeline as it comes; of a crowd, one line where thousands say the same. On a terminal, how far it is."""

    def __init__(self, *, timeline: bool, folds: bool) -> None:
        self._timeline = timeline
        self._folds = folds
        self._shows_progress = sys.stderr.isatty()
        self._more: dict[tuple[str, str], tuple[int, int]] = {}
        """By host and kind: since when, and how many since, that were not printed."""

    def tell(self, line: story.Line) -> None:
        if not self._timeline:
            return
        key = (line.who, line.kind)
        since, count = self._more.get(key, (-FOLD, 0))
        if self._folds and line.at - since < FOLD:
            self._more[key] = (since, count + line.count)
            return
        self._flush(key)
        self._more[key] = (line.at, 0)
        self._print(report.draw_line(line))

    def look(self, at: story.Story) -> None:
        for key in [key for key, (since, _) in self._more.items() if at.world.now - since >= FOLD]:
            self._flush(key)
            del self._more[key]
        if self._shows_progress:
            ups = sum(len(host.initiated()) for host in at.stage.hosts.values())
            now, lasts = at.world.now // SECOND, at.scenario.lasts // SECOND
            print(f"\r{CLEAR}{now:>6} of {lasts} s, {ups:,} SAs are up", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        for key in self._more:
            self._flush(key)
        if self._shows_progress:
            print(f"\r{CLEAR}", end="", file=sys.stderr, flush=True)

    def _flush(self, key: tuple[str, str]) -> None:
        _, count = self._more.get(key, (0, 0))
        if count:
            who, kind = key
            self._print(f"{'':14}{who:<12} ({kind}: {count:,} more within a second)")

    def _print(self, text: str) -> None:
        if self._shows_progress:
            print(f"\r{CLEAR}", end="", file=sys.stderr, flush=True)
        print(plain(text), flush=True)
