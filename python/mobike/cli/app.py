"""The commands and their options. Each is a few lines: ask, print, end with a code."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from mobike.cli import (
    bulk,
    capture,
    configuration,
    connection,
    credential,
    drill,
    importing,
    listing,
    loudness,
    order,
    single,
    tokens,
)
from mobike.cli.api import Api, Target
from mobike.cli.completion import complete_connection, complete_link, complete_local, complete_peer, complete_sa
from mobike.cli.draw import draw_explanation, draw_sa, draw_snapshot
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Format, emit, show
from mobike.cli.pipe import read_to_the_end
from mobike.cli.plain import plain
from mobike.cli.status import detail, explanation, find_sa, snapshot

_HELP: Final = """An IKEv2 and MOBIKE gateway and client.

Ends with 0 when it is done, 1 when it was refused or failed, 2 when the command line or the configuration makes no
sense, 3 when the daemon cannot be reached.
"""
_SHOWN: Final = 20
"""IKE SAs that `status` shows when nobody says how many: what a screen or two can hold."""
_HAS_ONE: Final = "An IKE SA, or a connection that has one."
_LOOKED_BACK: Final = 3
"""Attempts of one peer that `why` shows."""

app = typer.Typer(help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False)


Config = Annotated[
    Path,
    typer.Option("--config", "-c", help="The configuration: a file, or the folder of mobike.toml; and its conf.d."),
]
Out = Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for what comes of it; 0 does not wait.")]


def main() -> None:
    """What `mobike` runs."""
    with read_to_the_end():
        try:
            app()
        except Failure as failure:
            print(f"mobike: {plain(failure)}", file=sys.stderr)
            if failure.hint:
                print(f"        {plain(failure.hint)}", file=sys.stderr)
            sys.exit(failure.code)
        except KeyboardInterrupt:
            sys.exit(130)


def _say_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def choose_daemon(
    context: typer.Context,
    socket: Annotated[
        Path | None, typer.Option(envvar="MOBIKE_SOCKET", help="The daemon's Unix socket.", dir_okay=False)
    ] = None,
    url: Annotated[
        str | None, typer.Option(envvar="MOBIKE_URL", help="Or where it listens on TCP, like http://127.0.0.1:8650.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(envvar="MOBIKE_TOKEN_FILE", help="The token for TCP.", dir_okay=False)
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            envvar="MOBIKE_CA_FILE", help="Who signed its certificate; else who this system trusts.", dir_okay=False
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="The same as `mobike version`.")
    ] = False,
) -> None:
    context.obj = Target(socket, url, token_file, ca_file)


@app.command()
def status(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="An IKE SA, or a connection that has one: show it in full.", autocompletion=complete_sa
        ),
    ] = None,
    output: Out = Format.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, max=1000, help="Show so many IKE SAs.")] = _SHOWN,
) -> None:
    """Show connections, and IKE SAs with their paths, the reasons for them, and their children."""
    with _api(context) as api:
        if name is not None:
            sa = detail(api, find_sa(api, name))
            show(sa, lambda wide: draw_sa(sa, wide=wide), output)
        else:
            shown = snapshot(api, limit)
            show(shown.as_json(), lambda wide: draw_snapshot(shown, wide=wide), output)


@app.command()
def doctor(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Look also at what this configuration needs.")
    ] = None,
    output: Out = Format.TABLE,
) -> None:
    """Say what stands in the way: daemon, clock, ports, certificates, files, limits, kernel. Changes nothing.

    Each line is pass, warn, or fail, with what to do below it. Ends with 1 if one is fail.
    """
    from mobike.cli import doctor as doctors  # noqa: PLC0415 - netlink and certificates are for this command alone
    from mobike.cli import start  # noqa: PLC0415
    from mobike.cli.this_host import ThisHost  # noqa: PLC0415
    from mobike.dataplane.xfrm.health import Grade  # noqa: PLC0415

    settings = None if config is None else start.check(config).settings
    found = list(doctors.checked(settings, context.ensure_object(Target), ThisHost()))
    show(doctors.as_json(found), lambda _wide: doctors.draw(found), output)
    if any(each.grade is Grade.FAIL for each in found):
        sys.exit(ExitCode.FAILED)


@app.command()
def cleanup(
    context: typer.Context,
    remove: Annotated[bool, typer.Option("--remove", help="Take it away; else it is only shown.")] = False,
) -> None:
    """Show what a daemon that is gone has left in the kernel: SAs, policies, rules, routes.

    A daemon that begins again takes over what it still wants, and removes the rest. Until then, or until this takes it
    away, what is blocked stays blocked. Needs root; refused while the daemon answers.
    """
    from mobike.cli.cleanup import clean_up  # noqa: PLC0415 - netlink is for this command and the doctor alone

    for line in clean_up(context.ensure_object(Target), remove=remove):
        print(plain(line))


@app.command()
def up(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A connection.", autocompletion=complete_connection)],
    wait: Wait = 30,
) -> None:
    """Bring a connection up, and keep it up."""
    with _api(context) as api:
        print(plain(order.bring_up(api, name, wait)))


@app.command()
def down(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME|ID", help="A connection, or one IKE SA.", autocompletion=complete_sa)
    ],
    wait: Wait = 10,
) -> None:
    """Take a connection down and keep it down, or close one IKE SA."""
    with _api(context) as api:
        print(plain(order.take_down(api, name, wait)))


@app.command()
def explain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|NAME", help=_HAS_ONE, autocompletion=complete_sa)],
    without: Annotated[
        str | None,
        typer.Option(
            metavar="LINK|IP", help="Suppose that this link or address of ours is gone.", autocompletion=complete_link
        ),
    ] = None,
    output: Out = Format.TABLE,
) -> None:
    """Say where an IKE SA is, or would be without a link, and why; with all its pairs in their order."""
    with _api(context) as api:
        sa = find_sa(api, name)
        told = explanation(api, sa, without)
    show(told, lambda wide: draw_explanation(sa, told, wide=wide), output)


@app.command()
def ladder(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|NAME", help=_HAS_ONE, autocompletion=complete_sa)],
    output: Out = Format.TABLE,
) -> None:
    """Show the last exchanges of an IKE SA: who asked what, how often it was sent, and how long the answer took."""
    from mobike.cli.ladder import COLUMNS, EMPTY, exchanges, in_words  # noqa: PLC0415 - drawn for this command alone

    with _api(context) as api:
        found = exchanges(api, find_sa(api, name))
    people = output in {Format.TABLE, Format.WIDE}
    emit(map(in_words, found) if people else found, COLUMNS, output, limit=0, empty=EMPTY)


@app.command()
def watch(  # noqa: PLR0917 - options of a command line have names
    context: typer.Context,
    connection: Annotated[
        str | None, typer.Option("--connection", "-C", help="Of this one only.", autocompletion=complete_connection)
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="Only events, line by line, as they come.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as lines of JSON.")] = False,
    after: Annotated[
        int | None, typer.Option(min=0, help="With those that are kept behind this one; 0: all that are kept.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=0, help="End after so many events; 0: never.")] = 0,
) -> None:
    """Watch the daemon live: connections, IKE SAs and what happens. Ctrl-C ends it."""
    from mobike.cli import watch as live  # noqa: PLC0415 - rich's live screen is for few commands

    if events or as_json or after is not None or count or not live.is_screen():
        with _api(context) as api:
            live.print_events(api, after=after, connection=connection, as_json=as_json, most=count)
        return
    live.show_live(context.ensure_object(Target), connection=connection)


@app.command()
def why(
    context: typer.Context,
    peer: Annotated[
        str | None,
        typer.Argument(
            metavar="[PEER]",
            help="Its address, its identity, a connection, or an IKE SA.",
            autocompletion=complete_peer,
        ),
    ] = None,
    output: Out = Format.TABLE,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, max=1000, help="Show so many attempts; 3, and 20 of all.")
    ] = None,
) -> None:
    """Say why a peer did not come up: what was offered beside what is taken, where they part, and what to do."""
    from mobike.cli.why import attempts, draw_attempts, draw_list  # noqa: PLC0415 - drawn for this command alone

    with _api(context) as api:
        found = attempts(api, peer, limit or (_SHOWN if peer is None else _LOOKED_BACK))
    show(found, lambda _wide: draw_list(found) if peer is None else draw_attempts(found), output)


@app.command()
def move(  # noqa: PLR0917 - options of a command line have names
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|NAME", help=_HAS_ONE, autocompletion=complete_sa)],
    local: Annotated[
        str | None,
        typer.Option(metavar="IP", help="Our address; policy chooses if not given.", autocompletion=complete_local),
    ] = None,
    remote: Annotated[str | None, typer.Option(metavar="IP", help="The peer's address, likewise.")] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Take an earlier move back: policy chooses again.")] = False,
    wait: Wait = 10,
) -> None:
    """Move an IKE SA to another pair of addresses, and keep it there while that works."""
    if unpin == (local is not None or remote is not None):
        raise Failure("say --local, --remote, or both; or --unpin and neither", code=ExitCode.USAGE)
    with _api(context) as api:
        if unpin:
            print(plain(order.unpin(api, name)))
            return
        print(plain(order.move(api, name, local=local, remote=remote, wait_s=wait)))


@app.command()
def away(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A connection that we began.", autocompletion=complete_connection)],
    span: Annotated[
        str, typer.Option("--for", metavar="TIME", help="At most so long; the peer may grant less.")
    ] = "8h",
    wait: Wait = 10,
) -> None:
    """Leave a connection for a while: its peer keeps it and its inner address, and sends nothing."""
    from mobike.config.durations import parse_duration  # noqa: PLC0415 - as above

    try:
        seconds = parse_duration(span) // 1_000_000_000
    except ValueError as problem:
        raise Failure(str(problem), code=ExitCode.USAGE) from None
    if seconds < 1:
        raise Failure("--for must be a second or more", code=ExitCode.USAGE)
    with _api(context) as api:
        print(plain(order.go_away(api, name, span_s=seconds, wait_s=wait)))


@app.command()
def back(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A connection that is away.", autocompletion=complete_connection)],
    wait: Wait = 10,
) -> None:
    """Come back to it, from wherever we are now."""
    with _api(context) as api:
        print(plain(order.come_back(api, name, wait)))


@app.command()
def reauth(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|NAME", help=_HAS_ONE, autocompletion=complete_sa)],
    wait: Wait = 10,
) -> None:
    """Set up another IKE SA with new proofs of both ends, then end this one. Only its initiator can."""
    with _api(context) as api:
        print(plain(order.reauth(api, name, wait)))


@app.command()
def drain(
    context: typer.Context,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="GATEWAY", help="Its address or host name; once for each family."),
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Serve peers here again.")] = False,
) -> None:
    """Send all peers on to another gateway (RFC 5685): those that ask, and those that have an IKE SA."""
    if bool(to) is lift:
        raise Failure("say where to with --to, or --lift", code=ExitCode.USAGE)
    with _api(context) as api:
        print(plain(order.drain(api, to or [], lift=lift)))


@app.command()
def rekey(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|NAME", help=_HAS_ONE, autocompletion=complete_sa)],
    children: Annotated[bool, typer.Option("--children", help="Its Child SAs instead of the IKE SA itself.")] = False,
    wait: Wait = 10,
) -> None:
    """Give an IKE SA new keys; nothing else changes."""
    with _api(context) as api:
        print(plain(order.rekey(api, name, children=children, wait_s=wait)))


@app.command()
def avoid(
    context: typer.Context,
    link: Annotated[str, typer.Argument(help="A link of this host, like wwan0.", autocompletion=complete_link)],
    lift: Annotated[bool, typer.Option("--lift", help="No longer: use it as the configuration says.")] = False,
) -> None:
    """Use a link only where nothing else is left, until it is lifted or the daemon ends."""
    with _api(context) as api:
        print(plain(order.avoid(api, link, avoid=not lift)))


@app.command()
def check(config: Config) -> None:
    """Say what is wrong with a configuration, all of it at once."""
    from mobike.cli import start  # noqa: PLC0415 - config and core take longer to import than a status to show

    count = len(start.check(config).settings.connections)
    print(f"{config}: good, {count} connection{'' if count == 1 else 's'}")


@app.command()
def run(config: Config) -> None:
    """Be a gateway, a client, or both, until SIGTERM or SIGINT."""
    from mobike.cli import start  # noqa: PLC0415

    start.run(config)


@app.command()
def reload(context: typer.Context, keep: configuration.Keep = False) -> None:
    """Make the daemon read its files again, as SIGHUP does: what changed is applied, all of it or nothing.

    IKE SAs of connections that did not change are not touched.
    """
    configuration.print_applied(context, keep=keep)


@app.command()
def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Leave the gateway and its API up until Ctrl-C.")] = False,
) -> None:
    """Watch a tunnel survive two moves: both ends on this machine, no root."""
    from mobike.cli.demo import run_demo  # noqa: PLC0415 - rich's live screen is for the demo alone

    sys.exit(run_demo(stay=stay))


children = typer.Typer(help="Open and close single Child SAs of a connection that names several.", no_args_is_help=True)
app.add_typer(children, name="child")

Owner = Annotated[
    str,
    typer.Argument(
        metavar="NAME|ID", help="A connection that has an IKE SA, or the IKE SA.", autocompletion=complete_sa
    ),
]
ChildName = Annotated[str, typer.Argument(metavar="CHILD", help="One of its Child SAs; the first is called as it is.")]


@children.command("up")
def child_up(context: typer.Context, name: Owner, child: ChildName, wait: Wait = 10) -> None:
    """Open a Child SA."""
    with _api(context) as api:
        print(plain(order.open_child(api, name, child, wait)))


@children.command("down")
def child_down(context: typer.Context, name: Owner, child: ChildName, wait: Wait = 10) -> None:
    """Close a Child SA; the others and the IKE SA stay."""
    with _api(context) as api:
        print(plain(order.close_child(api, name, child, wait)))


app.add_typer(configuration.app, name="config")
app.add_typer(connection.app, name="connection")
app.add_typer(credential.app, name="credential")
app.add_typer(importing.app, name="import")
app.add_typer(tokens.app, name="token")
app.add_typer(loudness.app, name="log")
app.add_typer(listing.app, name="list")
app.command("probe")(single.probe)
app.command("pin")(single.pin)
app.command("redirect")(single.redirect)
app.command("address")(single.address)
app.command("caller")(single.caller)
app.command("order")(bulk.order)
app.command("drill")(drill.drill)
app.command("capture")(capture.capture)
app.add_typer(bulk.app, name="operation")

simulate = typer.Typer(help="Watch engine and fleet in a simulated network, held to their rules.", no_args_is_help=True)
app.add_typer(simulate, name="sim")


@simulate.command("list")
def list_scenarios() -> None:
    """Say which scenarios there are."""
    from mobike.cli import simulate as sim  # noqa: PLC0415 - engine and world are for this command alone

    print(sim.listing())


@simulate.command("run")
def run_scenario(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A shipped scenario, or a file with one.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the same things happen again.")] = None,
    sas: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="The size of a crowd, where it has one.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Of chaos: how much may happen, plain to kernels.")] = None,
    timeline: Annotated[bool, typer.Option(help="Print what happens while it does.")] = True,
) -> None:
    """Run a scenario; ends with 1 if a rule was broken."""
    from mobike.cli import simulate as sim  # noqa: PLC0415

    sys.exit(sim.run(name, seed, sas=sas, kind=kind, timeline=timeline))


@app.command()
def version() -> None:
    """Say which version this is."""
    from mobike.cli import start  # noqa: PLC0415

    print(start.mobike_version())


def _api(context: typer.Context) -> Api:
    return Api(context.ensure_object(Target))
