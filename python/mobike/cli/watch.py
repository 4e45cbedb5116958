"""`mobike watch`: the daemon live, on one screen that fits the terminal; or its events, line by line."""

import json
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from mobike.cli.api import Api, Json, Target
from mobike.cli.draw import ago, headline, state, text
from mobike.cli.failure import Failure
from mobike.cli.output import Column, compact
from mobike.cli.pipe import Reader
from mobike.cli.plain import plain

REFRESH_S: Final = 1.0
"""Between two looks, and sooner after an event."""
SOONEST_S: Final = 0.25
"""Between two looks while events storm."""
_AROUND: Final = 6
"""Lines of the screen that are headings and gaps."""
_LATEST: Final = 200
"""Events kept: more than a screen shows."""


@dataclass
class Scene:
    """What is on the screen."""

    health: Json
    connections: list[Json]
    sas: list[Json]
    total: int
    events: deque[Json] = field(default_factory=lambda: deque(maxlen=_LATEST))


def look(api: Api, events: deque[Json], *, connection: str | None, rows: int) -> Scene:
    """The daemon now."""
    query: dict[str, str | int] = {"limit": max(1, min(rows, 1000))}
    if connection is not None:
        query["connection"] = connection
    page = api.get("ike-sas", query)
    connections = [each for each in api.get("connections")["items"] if connection in {None, each["name"]}]
    return Scene(api.get("health"), connections, page["items"], page["total"] or len(page["items"]), events)


def draw(scene: Scene, width: int, height: int) -> RenderableType:
    """So that it fits: a third for events, what is left for IKE SAs."""
    room = max(4, height - _AROUND - len(scene.connections[:_FEW]))
    for_events = max(2, room // 3)
    for_sas = max(2, room - for_events)
    parts: list[RenderableType] = [headline(scene.health, scene.total)]
    parts.append(compact(scene.connections[:_FEW], CONNECTIONS, width))
    parts.append(Padding(_sas(scene, for_sas, width), (1, 0, 0, 0)))
    parts.append(Padding(_events(scene, for_events), (1, 0, 0, 0)))
    return Group(*parts)


_FEW: Final = 8
"""Connections on the screen."""
CONNECTIONS: Final = (
    Column("name", "connection", style="bold"),
    Column("role", spare=1),
    Column("state", paint=state),
    Column("ike_sas", ">IKE SAs"),
    Column("last_error", "last error", style="red", gives=True),
)
SAS: Final = (
    Column("state", paint=state),
    Column("connection", style="bold", spare=3, gives=True),
    Column("peer_id", "peer", gives=True),
    Column("path"),
    Column("moves", ">moves", spare=2),
    Column("up", ">up", spare=1),
)


def _sas(scene: Scene, most: int, width: int) -> RenderableType:
    now = time.time()
    rows = [sa | {"path": _path(sa), "up": ago(now - sa["since"])} for sa in scene.sas[:most]]
    more = scene.total - len(rows)
    drawn = compact(rows, SAS, width)
    return Group(drawn, Text(f"... and {more:,} more", "dim")) if more > 0 else drawn


def _path(sa: Json) -> str:
    return f"{sa['local']} -> {sa['remote']}" + (" (TCP)" if sa["transport"] == "tcp" else "")


def _events(scene: Scene, most: int) -> RenderableType:
    lines = [text(line(each), _STYLES.get(each["kind"], "")) for each in [*scene.events][-most:]]
    for each in lines:
        each.no_wrap, each.overflow = True, "ellipsis"
    return Group(*lines) if lines else Text("no events yet", "dim")


_STYLES: Final = {
    "sa-up": "green",
    "moved": "cyan",
    "peer-moved": "cyan",
    "sa-down": "red",
    "move-failed": "red",
    "connect-failed": "red",
    "dropped": "yellow",
}


def line(event: Json) -> str:
    """One event in one line."""
    at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    whose = " ".join(each for each in (event["connection"], event["sa"]) if each)
    return plain(f"{at}  {event['kind']:<16}  {whose}{'  ' if whose else ''}{event['text']}".replace("\n", " "))


def print_events(api: Api, *, after: int | None, connection: str | None, as_json: bool, most: int) -> None:
    """As they come, until there were so many (0: for ever)."""
    told = 0
    reader = Reader()
    for event in api.follow(after):
        if event is None or connection not in {None, event["connection"]}:
            continue
        told += 1
        if told == most:
            reader.is_served()
        print(json.dumps(event) if as_json else line(event), flush=True)
        if told == most:
            return


def show_live(target: Target, *, connection: str | None) -> None:
    """Until Ctrl-C, or until the daemon is gone."""
    console = Console(highlight=False)
    events: deque[Json] = deque(maxlen=_LATEST)
    news = threading.Event()
    with Api(target) as api:
        seen = _remembered(api, events, connection)
        # Another conversation: this one waits for events, from where that memory ends.
        listener = threading.Thread(target=_listen, args=(target, connection, events, news, seen), daemon=True)
        scene = look(api, events, connection=connection, rows=console.height)
        listener.start()
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(draw(scene, console.width, console.height), refresh=True)
                news.wait(REFRESH_S)
                news.clear()
                time.sleep(SOONEST_S)
                scene = look(api, events, connection=connection, rows=console.height)


def _remembered(api: Api, events: deque[Json], connection: str | None) -> int:
    """What happened before, and the number of the last of all."""
    newest = api.get("events/past", {"limit": 1})["items"]
    query: dict[str, str | int] = {"limit": _LATEST} | ({} if connection is None else {"connection": connection})
    seen: int = newest[0]["seq"] if newest else 0
    page = api.get("events/past", query)["items"]
    events.extend(each for each in reversed(page) if each["seq"] <= seen)
    return seen


def _listen(target: Target, connection: str | None, events: deque[Json], news: threading.Event, seen: int) -> None:
    # The screen says what is wrong when it looks itself.
    with suppress(Failure), Api(target) as api:
        for event in api.follow(seen):
            if event is not None and connection in {None, event["connection"]}:
                events.append(event)
                news.set()


def is_screen() -> bool:
    """May a screen be drawn?"""
    return sys.stdout.isatty()
