"""How the demo looks: a live screen on a terminal, plain lines elsewhere, and the table at the end."""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mobike.address import Nanos
from mobike.cli.demo.story import GATEWAY, NETWORKS, PINGS_PER_SECOND, Act, Network, Sample, Verdict

STRIP_COLUMNS = 72
COLUMN = 100_000_000
"""Nanoseconds of pings in one column of the strip."""
BARS = "▁▂▃▄▅▆▇█"
TIMELINE_LINES = 14


@dataclass(slots=True)
class Screen:
    """Everything the live screen shows."""

    began: Nanos
    now: Nanos
    stage: str = "starting"
    plugged: set[str] = field(default_factory=set)
    current: Network | None = None
    tunnel: str = ""
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=STRIP_COLUMNS * PINGS_PER_SECOND // 5))
    networks_at: list[tuple[Nanos, Network]] = field(default_factory=list)
    """Since when the tunnel runs over which network."""
    lines: list[tuple[Nanos, Text]] = field(default_factory=list)
    sent: int = 0
    lost: int = 0

    def say(self, at: Nanos, text: str, style: str = "") -> Text:
        """Add one line to the timeline, in its place: events of the daemons come a moment late."""
        line = Text.assemble((f"{(at - self.began) / 1e9:8.3f} s  ", "dim"), (text, style))
        insort(self.lines, (at, line), key=lambda each: each[0])
        return line

    def __rich__(self) -> RenderableType:
        body = Group(
            self._networks(),
            Text(),
            self._strip(),
            Text(),
            *(line for _, line in self.lines[-TIMELINE_LINES:]),
        )
        clock = f"{(self.now - self.began) / 1e9:.1f} s"
        title = Text.assemble(("mobike", "bold"), "  a tunnel that survives a move  ", (clock, "dim"))
        return Panel(body, title=title, subtitle=Text(self.stage, style="italic"), box=box.ROUNDED, padding=(1, 2))

    def _networks(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for network in NETWORKS:
            if network is self.current:
                mark, style, state = "●", f"bold {network.colour}", "in use"
            elif network.address in self.plugged:
                mark, style, state = "○", network.colour, "plugged in"
            else:
                mark, style, state = "✗", "dim", "no cable"
            arrow = "━━━▶" if network is self.current else ""
            table.add_row(
                Text(f"{mark} {network.name:<5}", style=style),
                Text(f"{network.address:<11}", style=style),
                Text(state, style=style),
                Text(arrow, style=style),
                Text(f"gateway {GATEWAY}   {self.tunnel}" if network is self.current else "", style="bold"),
            )
        return table

    def _strip(self) -> RenderableType:
        strip = Text()
        last = self.now // COLUMN
        columns: dict[int, list[Sample]] = {}
        for sample in self.samples:
            columns.setdefault(sample.sent // COLUMN, []).append(sample)
        for column in range(last - STRIP_COLUMNS + 1, last + 1):
            strip.append(*self._column(Nanos(column * COLUMN), columns.get(column, [])))
        counted = f"{self.sent} pings, {self.lost} lost"
        return Group(strip, Text(f"{counted}   one column is 0.1 s, its height the slowest round trip", style="dim"))

    def _column(self, at: Nanos, samples: Sequence[Sample]) -> tuple[str, str]:
        answered = [sample.answered - sample.sent for sample in samples if sample.answered is not None]
        # A ping still under way is no loss yet: only gaps that are half a second old are shown as one.
        overdue = [sample for sample in samples if sample.answered is None and self.now - sample.sent > 5 * COLUMN]
        if overdue:
            return "✗", "bold red"
        if not answered:
            return " ", ""
        # Each bar is four times slower than the one below: 0.25 ms, 1 ms, 4 ms, ...
        height = max(0, min(len(BARS) - 1, (max(answered) // 250_000).bit_length() // 2))
        return BARS[height], self._colour_at(at)

    def _colour_at(self, at: Nanos) -> str:
        colour = ""
        for since, network in self.networks_at:
            if at >= since - COLUMN:
                colour = network.colour
        return colour


def table_of(acts: Sequence[Act], verdict: Verdict) -> RenderableType:
    """What the demo leaves on the screen."""
    table = Table(box=box.SIMPLE_HEAVY, title="the moves", title_justify="left", title_style="bold")
    for heading in ("move", "order", "took", "pings lost", "decided by"):
        table.add_column(heading, justify="right" if heading in ("took", "pings lost") else "left", no_wrap=True)
    for act, lost in zip(acts, verdict.lost_in_act, strict=True):
        took = "never" if act.took_ms is None else f"{act.took_ms:.2f} ms"
        style = "green" if lost == 0 else "yellow"
        table.add_row(_arrow(act), act.kind.value, took, Text(str(lost), style=style), "the client's policy")
    parts: list[RenderableType] = [table]
    parts += [Text.assemble(_arrow(act), " because ", act.why or "?") for act in acts]
    answered = verdict.sent - verdict.lost
    counts = f"{verdict.sent} pings sent through the tunnel, {answered} answered, {verdict.lost} lost."
    parts += [Text(), Text(counts, style="bold green" if verdict.good else "bold red")]
    if verdict.good and verdict.lost:
        parts.append(Text("Each was lost between a cable pulled and the next path agreed.", style="green"))
    parts += [Text(f"✗ {complaint}", style="bold red") for complaint in verdict.complaints]
    return Group(*parts)


def _arrow(act: Act) -> Text:
    return Text.assemble((act.start.name, act.start.colour), " → ", (act.goal.name, act.goal.colour))


def print_line(console: Console, line: Text) -> None:
    """The timeline where there is no terminal to draw on."""
    console.print(line, soft_wrap=True)
