"""[api]: where the management API listens, and who may call from outside of this host."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

from mobike.config.locate import Key
from mobike.config.models import ApiTable
from mobike.config.settings import ApiSettings, TlsSettings
from mobike.config.webhooks import webhooks
from mobike.places import default_socket

_OUTSIDE = "can be reached from outside: give tls_certificate and tls_key, or listen on loopback"


def api(
    table: ApiTable,
    state_dir: Path,
    base: Path,
    problem: Callable[[Key, str], None],
    *,
    own_place: bool,
    environ: Mapping[str, str],
) -> ApiSettings:
    """The settings; what contradicts is told to `problem`. `own_place`: the operator has named the state_dir."""
    for key, message in _contradictions(table):
        problem(("api", key), message)
    socket: Path | None
    if table.socket is None:
        socket = state_dir / "api.sock" if own_place else default_socket()
    else:
        socket = base / table.socket if table.socket else None
    return ApiSettings(
        socket=socket,
        tcp=table.tcp,
        token_file=state_dir / "api.token" if table.token_file is None else base / table.token_file,
        books=state_dir / "api.db",
        tls=_tls(table, base),
        webhooks=webhooks(table.webhooks, base, environ, problem),
    )


def _contradictions(table: ApiTable) -> list[tuple[str, str]]:
    found = []
    if table.tls_certificate is None and table.tls_key is not None:
        found.append(("tls_key", "goes with tls_certificate"))
    if table.tls_certificate is not None and table.tls_key is None:
        found.append(("tls_certificate", "goes with tls_key"))
    if table.client_ca is not None and table.tls_certificate is None:
        found.append(("client_ca", "asks callers for certificates, and only TLS can: give tls_certificate and tls_key"))
    if table.clients and table.client_ca is None:
        found.append(("clients", "names certificates, and nobody says who issues them: give client_ca"))
    if table.tcp is None and table.tls_certificate is not None:
        found.append(("tls_certificate", "is for TCP, and tcp is turned off"))
    if table.tcp is not None and table.tls_certificate is None and not ip_address(table.tcp[0]).is_loopback:
        found.append(("tcp", f"{table.tcp[0]} {_OUTSIDE}"))
    return found


def _tls(table: ApiTable, base: Path) -> TlsSettings | None:
    if table.tls_certificate is None or table.tls_key is None:
        return None
    return TlsSettings(
        certificate=base / table.tls_certificate,
        key=base / table.tls_key,
        client_ca=None if table.client_ca is None else base / table.client_ca,
        clients=tuple(table.clients.items()),
    )
