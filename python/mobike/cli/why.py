"""`mobike why`: the last attempts of a peer, what was offered beside what is taken, and what to do."""

import time
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mobike.cli.api import Api, Json
from mobike.cli.draw import ago, table, text
from mobike.cli.failure import Missing

_ENDINGS = {"up": ("✓", "green"), "refused": ("✗", "red"), "failed": ("✗", "red")}
_FAULTS = {
    "both": "the two ends are set up differently",
    "here": "look at this end",
    "peer": "look at the peer",
    "network": "look at the network between",
    "nobody": "",
}


def attempts(api: Api, peer: str | None, limit: int) -> list[Json]:
    """The latest first."""
    query: dict[str, str | int] = {"limit": limit} | ({} if peer is None else {"peer": peer})
    found: list[Json] = api.get("attempts", query)["items"]
    if peer is not None and not found:
        hint = "name it by its address, its identity, or its connection; 'mobike why' lists all that failed of late"
        raise Missing(f"nothing is known to have failed of {peer}", hint=hint)
    return found


def draw_attempts(found: list[Json]) -> RenderableType:
    """Each in full."""
    now = time.time()
    return Group(
        *(Padding(Group(*_attempt(each, now)), (0, 0, 1 if each is not found[-1] else 0, 0)) for each in found)
    )


def draw_list(found: list[Json]) -> RenderableType:
    """One line each."""
    if not found:
        return Text("Nothing has failed since the daemon began.", "dim")
    now = time.time()
    rows = table("", "when", "peer", "connection", "step", "why")
    for each in found:
        mark, style = _ENDINGS[each["ending"]]
        when = f"{ago(now - each['at'])} ago" + (f", {each['times']}x" if each["times"] > 1 else "")
        rows.add_row(
            Text(mark, style),
            text(when),
            text(_peer(each), "bold"),
            text(each["connection"] or "-"),
            text("" if each["step"] == "none" else each["step"]),
            text(_short(each)),
        )
    return rows


def _attempt(each: Json, now: float) -> Iterator[RenderableType]:
    mark, style = _ENDINGS[each["ending"]]
    head = Text(f"{mark} ", style) + text(_peer(each), "bold")
    if each["connection"]:
        head += text(f"  {each['connection']}")
    head += text(f"  {ago(now - each['at'])} ago", "dim")
    if each["times"] > 1:
        head += text(f", {each['times']:,} times since {ago(now - each['since'])} ago", "dim")
    yield head
    yield Padding(text(_story(each)), (0, 0, 0, 2))
    if each["lines"]:
        yield Padding(_lines(each), (1, 0, 1 if each["fix"] else 0, 2))
    elif each["ending"] != "up":
        yield Padding(text(each["why"]), (0, 0, 0, 2))
    if each["fix"]:
        fix = Table.grid(padding=(0, 2))
        fix.add_column(style="green", no_wrap=True)
        fix.add_column()
        fix.add_row("fix", text(each["fix"]))
        yield Padding(fix, (0, 0, 0, 2))


def _lines(each: Json) -> Table:
    theirs, ours = ("the peer", "we offer") if each["by_us"] else ("the peer offers", "we take")
    rows = table("", theirs, ours, "")
    first = next((line for line in each["lines"] if not line["fits"]), None)
    for line in each["lines"]:
        style = "dim" if line["fits"] else "bold red" if line is first else "red"
        mark = "" if line["fits"] else "◀ here they part" if line is first else "◀"
        cells = [text(line["what"], style), text(_names(line["theirs"]), style), text(_names(line["ours"]), style)]
        rows.add_row(*cells, Text(mark, style, no_wrap=True))
    return rows


def _names(names: list[str]) -> str:
    return ", ".join(names) or "-"


def _story(each: Json) -> str:
    who = "we asked" if each["by_us"] else "it asked us"
    if each["ending"] == "up":
        return f"{who}; {each['why']}"
    verb = "we refused it" if each["ending"] == "refused" else "it did not come up"
    where = "before anything was sent" if each["step"] == "none" else f"in {each['step']}"
    fault = _FAULTS[each["fault"]]
    return f"{who}; {verb} {where} ({each['reason']})" + (f": {fault}" if fault else "")


def _short(each: Json) -> str:
    first = next((line for line in each["lines"] if not line["fits"]), None)
    return each["why"] if first is None else f"{first['what']}: {_names(first['theirs'][:2])}"


def _peer(each: Json) -> str:
    names = [each["peer_id"], each["peer"]]
    return " ".join(name for name in names if name) or str(each["connection"])
