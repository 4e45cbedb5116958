"""A daemon's state for people: connections, then each IKE SA with its path, the reason for it, and its children."""

import time
from collections.abc import Iterator
from typing import Final

from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mobike.cli.api import Json
from mobike.cli.plain import plain
from mobike.cli.status import Snapshot

_STATES: Final = {
    "up": "green",
    "established": "green",
    "listening": "cyan",
    "connecting": "yellow",
    "waiting-for-traffic": "yellow",
    "moving": "yellow",
    "down": "red",
}
_NATS: Final = {
    "we-are-behind": "we are behind a NAT",
    "peer-is-behind": "the peer is behind a NAT",
    "both-are-behind": "both are behind NATs",
}
GAP: Final = 3
"""Between columns of a table."""
_STEPS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def draw_snapshot(shown: Snapshot, *, wide: bool = False) -> RenderableType:
    """All of it; wide: each IKE SA with its pairs."""
    return Group(*_parts(shown, wide=wide))


def draw_sa(shown: Json, *, wide: bool = False) -> RenderableType:
    """One IKE SA with all its pairs; wide: with all that was measured of them, and what ranks them."""
    return Group(_sa(shown), Padding(_pairs(shown["pairs"], wide=wide), (1, 0, 0, 2)))


def draw_explanation(sa: str, told: Json, *, wide: bool = False) -> RenderableType:
    """What an IKE SA would do, with its pairs in their order."""
    case = "" if told["without"] is None else f"without {told['without']}: "
    where = "" if told["local"] is None else f" {'at' if told['decision'] == 'stay' else 'to'} {told['local']} -> "
    line = text(f"IKE SA {sa}  ", "dim") + text(f"{case}{told['decision']}{where}{told['remote'] or ''}", "bold")
    return Group(line, text(f"  {told['why']}"), Padding(_pairs(told["pairs"], wide=wide), (1, 0, 0, 2)))


def _pairs(rows: list[Json], *, wide: bool) -> Table:
    pairs = table(">rank", "local", "remote", "link", "", "why", *((">RTT ms", ">loss", "score") if wide else ()))
    for pair in rows:
        mark = Text("in use", "green") if pair["current"] else Text("" if pair["usable"] else "unusable", "red")
        style = "bold" if pair["current"] else "" if pair["usable"] else "dim"
        shown = {**pair, "remote": pair["remote"] + _stream(pair)}
        cells = [text(shown[name], style) for name in ("rank", "local", "remote", "link", "why")]
        measured = [text(_number(pair[name]), style) for name in ("rtt_ms", "loss")] + [text(pair["score"], "dim")]
        pairs.add_row(*cells[:4], mark, *cells[4:], *(measured if wide else ()))
    return pairs


def _number(measured: float | None) -> str:
    return "-" if measured is None else f"{measured:.3g}"


def _stream(path: Json) -> str:
    """UDP is what goes without saying."""
    return " (TCP)" if path["transport"] == "tcp" else ""


def _parts(shown: Snapshot, *, wide: bool) -> Iterator[RenderableType]:
    yield headline(shown.health, shown.total)
    if shown.connections:
        yield Padding(_connections(shown.connections), (1, 0, 0, 0))
    for sa in shown.ike_sas:
        yield Padding(draw_sa(sa, wide=True) if wide else _sa(sa), (1, 0, 0, 0))
    more = shown.total - len(shown.ike_sas)
    if more > 0:
        yield Text(f"\n... and {more:,} more; --limit shows more of them, 'mobike status ID' one in full", style="dim")


def headline(health: Json, total: int) -> Text:
    """Which daemon this is, and whether it can do its work."""
    line = Text.assemble(text(f"mobike {health['version']}", "bold"), f"  up {ago(health['uptime_s'])}  ")
    line.append("ready" if health["ready"] else "not ready", "green" if health["ready"] else "bold red")
    line.append(f"  {total:,} IKE SA{'' if total == 1 else 's'}")
    for reason in health["reasons"]:
        line.append_text(text(f"\n  {reason}", "red"))
    return line


def _connections(connections: list[Json]) -> Table:
    rows = table("connection", "role", "state", ">IKE SAs", "last error")
    for each in connections:
        rows.add_row(
            text(each["name"], "bold"),
            text(each["role"]),
            state(each["state"]),
            f"{each['ike_sas']:,}",
            text(each["last_error"] or "", "red"),
        )
    return rows


def _sa(shown: Json) -> RenderableType:
    """One IKE SA in a few lines."""
    sa = shown["sa"]
    head = Text("  ").join(
        [state(sa["state"]), text(sa["connection"], "bold"), text(sa["peer_id"]), text(f"IKE SA {sa['id']}", "dim")]
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    facts.add_row("path", text(f"{sa['local']} -> {sa['remote']}{_stream(sa)}", "bold") + text(_link(shown)))
    facts.add_row("why", text(shown["why"]))
    if shown["pin"] is not None:
        facts.add_row("pinned", text(f"{shown['pin']} by an order; 'mobike move --unpin' takes it back"))
    if shown["last_move"] is not None:
        facts.add_row("moved", text(_move(shown["last_move"], sa)))
    facts.add_row("IKE", text(", ".join(_about(sa))))
    if sa["virtual_ips"]:
        facts.add_row("inner", text(", ".join(sa["virtual_ips"])))
    if shown["dns"]:
        facts.add_row("DNS", text(_resolvers(shown)))
    if shown["networks"]:
        facts.add_row("behind it", text(", ".join(shown["networks"])))
    for child in shown["children"]:
        facts.add_row("child", _child(child, sa["connection"]))
    return Group(head, Padding(facts, (0, 0, 0, 2)))


def _about(sa: Json) -> Iterator[str]:
    yield str(sa["suite"])
    yield "we began it" if sa["role"] == "initiator" else "the peer began it"
    yield "MOBIKE" if sa["mobike"] else "no MOBIKE"
    if sa["nat"] in _NATS:
        yield _NATS[sa["nat"]]
    yield f"up {ago(time.time() - sa['since'])}"


def _resolvers(shown: Json) -> str:
    domains = f" for {', '.join(shown['domains'])}" if shown["domains"] else ""
    return f"{', '.join(shown['dns'])}{domains}"


def _link(shown: Json) -> str:
    link = next((pair["link"] for pair in shown["pairs"] if pair["current"]), None)
    return f"  on {link}" if link else ""


def _move(last: Json, sa: Json) -> str:
    times = "once" if sa["moves"] == 1 else f"{sa['moves']:,} times"
    took = "" if last["duration_ms"] is None else f" in {last['duration_ms']:.1f} ms"
    if sa["state"] == "updating" and not took:
        took = ", not answered yet"
    return f"{times}, last {ago(time.time() - last['at'])} ago{took}: {last['why']}"


def _child(child: Json, connection: str) -> Text:
    name = "" if child["name"] == connection else f"{child['name']}: "
    traffic = text(name, "bold") + text(f"{', '.join(child['local_ts'])} == {', '.join(child['remote_ts'])}")
    how = f"  {child['suite']}{' in UDP' if child['encap'] else ''}{_mode(child)}  {child['spi_in']}/{child['spi_out']}"
    counted = (f"{way} {child[f'packets_{way}']:,} packets ({_size(child[f'bytes_{way}'])})" for way in ("in", "out"))
    return traffic + text(how, "dim") + Text("\n" + ", ".join(counted))


def _mode(child: Json) -> str:
    return "" if child["mode"] == "tunnel" else f" in {child['mode']} mode"


def _size(octets: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if octets < 1024:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} TiB"


def ago(seconds: float) -> str:
    """A span of time in its two largest units."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _STEPS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def state(name: str) -> Text:
    """With its colour."""
    return text(f"● {name}", _STATES.get(name, "yellow"))


def text(words: object, style: str = "") -> Text:
    """Words of the daemon as they are: no markup in them is obeyed, no control character passed on."""
    return Text(plain(words), style)


def table(*names: str) -> Table:
    """No frames; a name that begins with `>` has its numbers on the right."""
    rows = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name in names:
        side: JustifyMethod = "right" if name.startswith(">") else "left"
        rows.add_column(name.removeprefix(">"), justify=side, overflow="fold")
    return rows
