"""From a configuration file to a running daemon: everything is wired here, nothing is decided."""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from mobike.cli.failure import ExitCode, Failure
from mobike.config import ConfigError, Loaded, Settings
from mobike.config import load as read
from mobike.config.settings import TlsSettings
from mobike.facade import Facade

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from mobike.gateway.opening import Opening
    from mobike.swanctl.mapping import Imported
    from mobike_api import ApiServer, Tls


def check(path: Path) -> Loaded:
    """Read a configuration; what is wrong with it goes to standard error, all of it, and ends the command."""
    from mobike import _core  # noqa: PLC0415 - commands that only ask a daemon do not need the core

    try:
        loaded = read(path, _core)
    except ConfigError as error:
        raise _refused(error, path) from None
    for warning in loaded.warnings:
        print(f"{warning} (warning)", file=sys.stderr)
    return loaded


def _refused(error: ConfigError, path: Path) -> Failure:
    for problem in error.problems:
        print(problem, file=sys.stderr)
    count = len(error.problems)
    return Failure(f"{count} problem{'' if count == 1 else 's'} in {path}", code=ExitCode.USAGE)


def read_quietly(path: Path) -> Loaded:
    """Read a configuration; ConfigError says what is wrong with it."""
    from mobike import _core  # noqa: PLC0415

    return read(path, _core)


def import_swanctl(path: Path) -> "Imported":
    """A configuration of strongSwan in our tables; SwanctlError if it cannot be read."""
    from mobike import _core  # noqa: PLC0415
    from mobike.swanctl.files import read_folder  # noqa: PLC0415
    from mobike.swanctl.mapping import map_tree  # noqa: PLC0415

    return map_tree(*read_folder(path), _core)


def load(path: Path) -> "Opening":
    """The configuration to start with, with logs set up as its files say; and the API, whose import takes a second,
    ahead of a loop that it would hold up."""
    from mobike import _core  # noqa: PLC0415
    from mobike.gateway import logs  # noqa: PLC0415
    from mobike.gateway.opening import open_up  # noqa: PLC0415
    from mobike.store import StoreError  # noqa: PLC0415

    loaded = check(path)
    # FastAPI asks of each member of our models whether it is one of pydantic 1, and reads all of that for it, which
    # takes a tenth of a second. Where it cannot be imported, it knows that there are none.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
    try:
        import_module("mobike_api")  # an extra: mobike[api]
    except ModuleNotFoundError as problem:
        raise Failure(f"the API cannot start: {problem}", hint="install mobike[api]") from None
    logs.set_up(loaded.settings.daemon.log_level, loaded.settings.daemon.log_format)
    try:
        return open_up(path, loaded, _core)
    except ConfigError as error:
        raise _refused(error, path) from None
    except StoreError as problem:
        raise Failure(f"cannot start: {problem}") from None


def api_server(
    facade: Facade, settings: Settings, handed: "Sequence[socket]" = (), tracer: "Tracer | None" = None
) -> "ApiServer":
    """The management API as the settings want it, on sockets that a service manager holds where it does."""
    from mobike.facade.books import BooksError  # noqa: PLC0415
    from mobike.gateway.books import GatewayBooks  # noqa: PLC0415
    from mobike_api import ApiServer, Webhook  # noqa: PLC0415

    api = settings.api
    try:
        books = GatewayBooks(api.books)
    except BooksError as problem:
        raise Failure(f"the API cannot start: {problem}") from None
    return ApiServer(
        facade,
        books,
        socket=api.socket,
        tcp=api.tcp,
        token_file=api.token_file,
        tls=None if api.tls is None else _tls(api.tls),
        webhooks=tuple(Webhook(each.name, each.url, each.secret, each.events) for each in api.webhooks),
        handed=handed,
        version=mobike_version(),
        tracer=tracer,
    )


def _tls(settings: TlsSettings) -> "Tls":
    from mobike.facade.books import Scope  # noqa: PLC0415
    from mobike_api import Tls  # noqa: PLC0415

    clients = {name: Scope(scope) for name, scope in settings.clients}
    return Tls(settings.certificate, settings.key, settings.client_ca, clients)


def run(path: Path) -> None:
    """Be a daemon until a signal comes."""
    opening = load(path)
    from mobike.gateway.manager import Manager  # noqa: PLC0415
    from mobike.gateway.run import serve  # noqa: PLC0415
    from mobike.gateway.tracing import tracer  # noqa: PLC0415
    from mobike.store import StoreError  # noqa: PLC0415
    from mobike_api.handed import HandedError, take_handed  # noqa: PLC0415

    try:
        handed = take_handed(os.environ)
    except HandedError as problem:
        raise Failure(f"the API cannot start: {problem}") from None
    try:
        spans = tracer(os.environ, mobike_version())
        api = partial(api_server, handed=handed, tracer=spans)
        asyncio.run(serve(opening, api, manager=Manager(os.environ), tracer=spans))
    except (OSError, StoreError) as problem:
        raise Failure(f"cannot start: {problem}") from None


def mobike_version() -> str:
    """Of the package that is installed."""
    try:
        return version("mobike")
    except PackageNotFoundError:
        return "unknown"
