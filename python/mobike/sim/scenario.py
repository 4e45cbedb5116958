"""Scenarios: small TOML files. Connections are written as in the daemon's own configuration, and read by its reader.

title, story          what it is, for people
lasts, bound          until when faults may come; how long it may then take until everything is settled
[hosts.NAME]          sas = N (a crowd), pings = "20ms", ping = "10.9.0.1"
[hosts.NAME.links.LINK]           addresses, nat, up, deaf, answers, weather
[hosts.NAME.connections.NAME]     as in mobike.toml; without any, the host is a bystander
[nats.NAME]           outside, mapping, filtering, expiry, fixed
[[events]]            at, do, to, by (see `faults`); every and times repeat it
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, ValidationError

from mobike import _core
from mobike.address import Ip
from mobike.config import Connection
from mobike.config.build import build_connection
from mobike.config.fields import Address, Context, Duration
from mobike.config.models import ConnectionTable, Table
from mobike.config.named import Shelf
from mobike.sim.faults import Fault, read_weather
from mobike.sim.host import PlaneName
from mobike.sim.nat import Depends
from mobike.sim.network import CALM, Weather
from mobike.sim.stage import HostPlan, LinkPlan, NatPlan
from mobike.sim.world import SECOND

SUFFIX: Final = ".toml"


class ScenarioError(ValueError):
    """What is wrong with a scenario, one line for each."""


WeatherText = Annotated[Weather, PlainValidator(read_weather)]


class LinkTable(Table):
    """[hosts.NAME.links.LINK]"""

    addresses: Annotated[list[Address], Field(min_length=1)]
    nat: str | None = None
    up: bool = True
    deaf: bool = False
    answers: bool = False
    weather: WeatherText = CALM


class HostTable(Table):
    """[hosts.NAME]"""

    links: dict[str, LinkTable]
    connections: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sas: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    plane: PlaneName = "userspace"
    pings: Duration = 0
    ping: Address | None = None


class NatTable(Table):
    """[nats.NAME]"""

    outside: Address
    mapping: Annotated[Depends, PlainValidator(Depends)] = Depends.NOTHING
    filtering: Annotated[Depends, PlainValidator(Depends)] = Depends.ENDPOINT
    expiry: Duration = 120 * SECOND
    fixed: Address | None = None


class EventTable(Table):
    """[[events]]"""

    at: Duration
    do: str
    to: str
    by: str = ""
    every: Duration = 0
    times: Annotated[int, Field(ge=1, le=100_000)] = 1
    quiet: bool = False


class ScenarioTable(Table):
    """The whole file."""

    title: str
    story: str
    lasts: Duration
    bound: Duration
    hosts: dict[str, HostTable]
    nats: dict[str, NatTable] = Field(default_factory=dict)
    events: list[EventTable] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pings:
    """A stream of pings through the first SA of a host."""

    host: str
    every: int
    to: Ip


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world that is to be, and what will happen in it. Times in nanoseconds."""

    name: str
    title: str
    story: str
    lasts: int
    bound: int
    hosts: dict[str, HostPlan]
    nats: dict[str, NatPlan] = field(default_factory=dict)
    pings: tuple[Pings, ...] = ()
    faults: tuple[Fault, ...] = ()


def read(name: str, text: str, *, sas: int | None = None) -> Scenario:
    """A scenario from its text. `sas` replaces the size of every crowd. ScenarioError says what is wrong."""
    try:
        table = ScenarioTable.model_validate(tomllib.loads(text))
        hosts = {host: _host(host, each, sas) for host, each in table.hosts.items()}
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ScenarioError("\n".join(f"{name}: {line}" for line in lines)) from error
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise ScenarioError(f"{name}: {error}") from error
    return Scenario(
        name=name,
        title=table.title,
        story=table.story.strip(),
        lasts=table.lasts,
        bound=table.bound,
        hosts=hosts,
        nats={
            name: NatPlan(each.outside, each.mapping, each.filtering, each.expiry, each.fixed)
            for name, each in table.nats.items()
        },
        pings=tuple(
            Pings(host, each.pings, each.ping) for host, each in table.hosts.items() if each.pings and each.ping
        ),
        faults=tuple(sorted(_faults(table), key=lambda fault: fault.at)),
    )


def shipped() -> dict[str, str]:
    """Name and text of each scenario that comes with mobike."""
    folder = files("mobike.sim").joinpath("scenarios")
    found = sorted((each.name, each) for each in folder.iterdir() if each.name.endswith(SUFFIX))
    return {name.removesuffix(SUFFIX): each.read_text() for name, each in found}


def connection(name: str, table: dict[str, Any]) -> Connection:
    """A connection as in the daemon's configuration; ValueError says what is wrong."""
    model = ConnectionTable.model_validate(table, context=Context(_core))
    built = build_connection(name, model, Shelf(Path()), {})
    if built.built is None:
        raise ValueError("; ".join(f"{'.'.join(map(str, each.key))} {each.message}" for each in built.problems))
    return built.built


def _host(name: str, table: HostTable, sas: int | None) -> HostPlan:
    if table.pings and not table.connections:
        raise ValueError(f"hosts.{name}.pings: it has no connection that would carry them")
    links = {
        name: LinkPlan(tuple(each.addresses), each.nat, each.up, each.deaf, each.weather, each.answers)
        for name, each in table.links.items()
    }
    connections = tuple(connection(name, each) for name, each in table.connections.items())
    crowd = table.sas - 1
    if crowd and sas is not None:
        crowd = sas - 1
    return HostPlan(links, connections, crowd, table.plane)


def _faults(table: ScenarioTable) -> Iterator[Fault]:
    for each in table.events:
        for number in range(each.times):
            at = each.at + number * each.every
            yield Fault(at, each.do, each.to, each.by, each.quiet)
