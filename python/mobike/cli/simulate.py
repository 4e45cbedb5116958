"""`mobike sim`: watch the real engine and the real fleet in a simulated network, and hold them to their rules."""

import sys
from pathlib import Path
from random import SystemRandom
from typing import Final

from mobike.cli.failure import ExitCode, Failure
from mobike.cli.plain import plain
from mobike.sim import chaos, report, scenario, story

MOST_SEED: Final = 1_000_000


def listing() -> str:
    """Name and title of each scenario."""
    titles = {name: scenario.read(name, text).title for name, text in scenario.shipped().items()}
    titles[chaos.NAME] = "Chance: another topology and other faults for each seed"
    width = max(map(len, titles))
    return "\n".join(f"{name:<{width}}  {title}" for name, title in titles.items())


def run(name: str, seed: int | None, *, sas: int | None, timeline: bool) -> int:
    """Run one, print what happens and what came of it; 0 if all rules held, else 1."""
    if seed is None:
        seed = SystemRandom().randrange(MOST_SEED)
    chosen = _find(name, seed, sas)
    print(f"{chosen.title} (seed {seed})\n")
    if chosen.story:
        print(f"{chosen.story}\n")
    outcome = story.run(chosen, seed, _print_line if timeline else lambda _: None)
    print(("\n" if timeline else "") + plain(report.draw(outcome)))
    return 0 if outcome.is_good else 1


def _find(name: str, seed: int, sas: int | None) -> scenario.Scenario:
    if name == chaos.NAME:
        return chaos.chaos(seed)
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


def _print_line(line: story.Line) -> None:
    print(plain(report.draw_line(line)))
    sys.stdout.flush()
