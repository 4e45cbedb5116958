"""`mobike token`: give tokens of the API out, and take them back."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from mobike.cli.api import Api, Json, Target
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Column, Format, emit
from mobike.cli.plain import plain
from mobike.facade.books import Scope

app = typer.Typer(help="Give tokens of the API out, and take them back.", no_args_is_help=True)

_COLUMNS: Final = (
    Column("id"),
    Column("name", style="bold", gives=True),
    Column("scope"),
    Column("ends", "expires"),
    Column("made_by", "made by", gives=True, spare=1),
)
_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400}


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    scope: Annotated[Scope, typer.Option(help="What its holder may do; each allows those before it.")] = Scope.READ,
    expires: Annotated[str, typer.Option(metavar="SPAN", help="How long it opens anything: 12h, 30d.")] = "90d",
) -> None:
    """Print a new token. It is told this once, and only its hash is kept."""
    order = {"name": name, "scope": scope.value, "lifetime_s": _seconds(expires)}
    with _api(context) as api:
        print(plain(api.post("tokens", order)["text"]))


@app.command("list")
def list_tokens(
    context: typer.Context,
    output: Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")] = Format.TABLE,
) -> None:
    """Show which tokens there are."""
    with _api(context) as api:
        items: list[Json] = api.get("tokens")["items"]
    people = output in {Format.TABLE, Format.WIDE}
    rows = (each | {"ends": _day(each["expires"])} for each in items) if people else items
    emit(rows, _COLUMNS, output, limit=0, empty="There is no token.")


@app.command()
def revoke(context: typer.Context, token: Annotated[str, typer.Argument(metavar="ID", help="Its id.")]) -> None:
    """From now on it opens nothing."""
    with _api(context) as api:
        api.delete(f"tokens/{token}")
    print(plain(f"token {token} is revoked"))


def _seconds(span: str) -> int:
    number, unit = span[:-1], span[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit():
        raise Failure(f"{span!r} is no span of time", code=ExitCode.USAGE, hint="like 30m, 12h or 90d")
    return int(number) * _UNITS[unit]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _api(context: typer.Context) -> Api:
    return Api(context.ensure_object(Target))
