"""Commands about one thing that are asked for seldom: probe, pin, redirect, address, caller."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from mobike.cli.api import Api, Target
from mobike.cli.completion import complete_local, complete_sa
from mobike.cli.draw import text
from mobike.cli.failure import Failure
from mobike.cli.output import Format, show
from mobike.cli.plain import plain
from mobike.cli.status import find_sa

_SA = Annotated[
    str,
    typer.Argument(metavar="ID|NAME", help="An IKE SA, or a connection that has one.", autocompletion=complete_sa),
]
_ANSWERED: Final = "probe-answered"
_PROBED: Final = (_ANSWERED, "path-silent", "waiting", "sa-down")
"""Kinds of events that end a probe."""


def probe(
    context: typer.Context,
    name: _SA,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the answer; 0 does not wait.")] = 10,
) -> None:
    """Ask the peer of an IKE SA for a sign of life over the path in use, and say how long it took."""
    with _api(context) as api:
        sa = find_sa(api, name)
        newest = api.get("events/past", {"limit": 1})["items"]
        api.post(f"{_path(sa)}/probe")
        if not wait:
            print(plain(f"{sa}: asked"))
            return
        after = newest[0]["seq"] if newest else 0
        told = api.await_event(lambda event: event["sa"] == sa and event["kind"] in _PROBED, wait, after=after)
    if told is None:
        raise Failure(f"{sa}: nothing is known after {wait:g} s", hint="it is still waited for; look at 'mobike watch'")
    if told["kind"] != _ANSWERED:
        raise Failure(f"{sa}: no answer ({told['kind']})", hint=f"'mobike explain {sa}' shows what else it could use")
    print(plain(f"{sa}: answered in {told['data']['rtt_ms']:.1f} ms"))


def pin(
    context: typer.Context,
    name: _SA,
    lift: Annotated[bool, typer.Option("--lift", help="No longer: policy chooses again.")] = False,
) -> None:
    """Keep an IKE SA on the pair that it uses now, while that can be used."""
    with _api(context) as api:
        sa = find_sa(api, name)
        if lift:
            api.delete(f"{_path(sa)}/pin")
        else:
            api.put(f"{_path(sa)}/pin")
    print(plain(f"{sa}: policy chooses again" if lift else f"{sa}: stays where it is"))


def redirect(
    context: typer.Context,
    name: _SA,
    to: Annotated[
        list[str], typer.Option("--to", metavar="GATEWAY", help="Its address or host name; once for each family.")
    ],
) -> None:
    """Send the peer of one IKE SA on to another gateway (RFC 5685); `drain` sends all."""
    with _api(context) as api:
        sa = find_sa(api, name)
        api.post(f"{_path(sa)}/redirect", {"to": to})
    print(plain(f"{sa}: its peer is sent on to {', '.join(to)}, and has a minute"))


def address(
    context: typer.Context,
    ip: Annotated[
        str, typer.Argument(metavar="IP", help="An address of [links] manual.", autocompletion=complete_local)
    ],
    gone: Annotated[bool, typer.Option("--gone/--back", help="It is not there now; it is there again.")],
) -> None:
    """Say that an address of this host is gone or back, where [links] source = "manual": nobody else would know."""
    with _api(context) as api:
        api.put(f"addresses/{quote(ip, safe='')}", {"available": not gone})
    print(plain(f"{ip}: {'gone' if gone else 'back'}"))


def caller(
    context: typer.Context,
    output: Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")] = Format.TABLE,
) -> None:
    """Say who you are for the daemon, and what you may do."""
    with _api(context) as api:
        told = api.get("caller")
    show(told, lambda _wide: text(f"{told['name']}: {told['scope']}"), output)


def _path(sa: str) -> str:
    return f"ike-sas/{quote(sa, safe='')}"


def _api(context: typer.Context) -> Api:
    return Api(context.ensure_object(Target))
