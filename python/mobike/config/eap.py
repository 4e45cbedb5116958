"""EAP of a connection: who the peers are and what they know, or who we are and what we know."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mobike.auth.eap import ClientOrders, Orders, ServerOrders, TlsOrders
from mobike.auth.eap.mschapv2 import LONGEST_NAME
from mobike.auth.eap.packet import MSCHAPV2, TLS
from mobike.auth.radius import RadiusOrders, Server
from mobike.config.models import ConnectionTable, RadiusTable
from mobike.config.named import SecretError, Shelf
from mobike.config.secrets import Sources, read_text

NUMBERS: Final = {"mschapv2": MSCHAPV2, "tls": TLS}
PROVES_BOTH: Final = frozenset({"tls"})
"""Methods that prove the gateway too, and that nobody can guess at: those fit for EAP alone (RFC 5998 section 4)."""
MAX_USERS: Final = 16 << 20
"""Octets of a file of users."""


@dataclass(frozen=True, slots=True)
class ReadEap:
    """What to say in EAP, and what is unwise about it."""

    orders: Orders
    warnings: tuple[tuple[str, str], ...]
    """Key of the configuration, and what."""


def read_eap(
    table: ConnectionTable, local_id: str, shelf: Shelf, environ: Mapping[str, str], shown: TlsOrders | None
) -> ReadEap:
    """The table has passed `of_eap`; `shown` is what EAP-TLS needs."""
    if "radius" in table.eap:
        servers = [_read_server(place, each, shelf, environ) for place, each in enumerate(table.radius)]
        warnings = tuple(("radius", text) for _, texts in servers for text in texts)
        return ReadEap(RadiusOrders(local_id, tuple(server for server, _ in servers)), warnings)
    methods = tuple(NUMBERS[name] for name in table.eap)
    if table.role == "responder":
        passwords, warnings = _read_users(table, shelf)
        return ReadEap(ServerOrders(local_id, methods, passwords, shown), warnings)
    password, warnings = _read_password(table, shelf, environ)
    identity = table.eap_identity or local_id
    return ReadEap(ClientOrders(identity, methods, password, shown), warnings)


def uses_tls(table: ConnectionTable) -> bool:
    """Does an end show a certificate in EAP-TLS?"""
    return "tls" in table.eap and "eap" in {table.local_auth, table.remote_auth}


def of_eap(table: ConnectionTable) -> Iterator[tuple[str, str]]:
    """Keys that are right by themselves and wrong together, and how."""
    ours = table.role == "initiator"
    used = (table.local_auth if ours else table.remote_auth) == "eap"
    yield from _of_ends(table, ours=ours, used=used)
    yield from _of_radius(table, ours=ours)
    sources = [key for key in ("eap_password", "eap_password_file", "eap_password_env") if getattr(table, key)]
    for key in (*sources, *(["eap_identity"] if table.eap_identity else [])):
        if not (used and ours):
            yield key, 'is used by an initiator with local_auth = "eap" only'
    if table.eap_users and not (used and not ours):
        yield "eap_users", 'is used by a responder with remote_auth = "eap" only'
    if used and "mschapv2" in table.eap:
        if ours and len(sources) != 1:
            yield "eap", "mschapv2 needs exactly one of eap_password, eap_password_file, eap_password_env"
        if not ours and not table.eap_users:
            yield "eap_users", "is missing; mschapv2 needs the passwords of the peers"


def _of_ends(table: ConnectionTable, *, ours: bool, used: bool) -> Iterator[tuple[str, str]]:
    end, other_end = ("local_auth", "remote_auth") if ours else ("remote_auth", "local_auth")
    if (table.remote_auth if ours else table.local_auth) == "eap":
        if not used:
            yield other_end, f'a gateway proves itself by EAP only where its client does too: {end} = "eap"'
        elif not PROVES_BOTH.issuperset(table.eap):
            yield other_end, 'EAP alone proves a gateway only by methods that prove both ends: eap = ["tls"]'
    if "eap" in table.model_fields_set and not used:
        yield "eap", f'is used with {end} = "eap" only'


def _of_radius(table: ConnectionTable, *, ours: bool) -> Iterator[tuple[str, str]]:
    if "radius" in table.eap and (ours or len(table.eap) > 1):
        yield "eap", "radius is for a responder, and alone: the server speaks the methods"
    if ("radius" in table.eap) != bool(table.radius):
        yield "radius", 'goes with eap = ["radius"]: the servers to ask'
    for place, server in enumerate(table.radius):
        if sum(each is not None for each in (server.secret, server.secret_file, server.secret_env)) != 1:
            yield "radius", f"server {place + 1} needs exactly one of secret, secret_file, secret_env"


def _read_server(
    place: int, table: RadiusTable, shelf: Shelf, environ: Mapping[str, str]
) -> tuple[Server, tuple[str, ...]]:
    sources = Sources((table.secret, "radius"), (table.secret_file, "radius"), (table.secret_env, "radius"))
    _, text, warnings = read_text(sources, shelf, environ)
    if not text:
        raise SecretError("radius", f"the secret of server {place + 1} is empty")
    return Server(table.server, table.port, text.encode(), table.accounting_port), warnings


def _read_users(table: ConnectionTable, shelf: Shelf) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """TOML: `"ann@example.net" = "her password"`, a line each."""
    if table.eap_users is None:
        return {}, ()
    content = shelf.read("eap_users", table.eap_users, MAX_USERS)
    users = users_in(content.octets, "eap_users", content.place)
    return users, tuple(("eap_users", message) for message in content.warnings)


def users_in(octets: bytes, key: str, place: str) -> dict[str, str]:
    """Names and passwords; SecretError blames `key`."""
    try:
        users = tomllib.loads(octets.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        # What the parser says may quote the file.
        where = getattr(problem, "lineno", None)
        at = f", line {where}" if where else ""
        raise SecretError(key, f'{place}{at} is not TOML with a line "user" = "password" each') from None
    for name, password in users.items():
        if not 1 <= len(name.encode()) <= LONGEST_NAME:
            raise SecretError(key, f"{place}: a name has 1 to {LONGEST_NAME} octets")
        if not isinstance(password, str) or not password:
            raise SecretError(key, f"{place}: the password of {name!r} is no text, or empty")
    return users


def _read_password(
    table: ConnectionTable, shelf: Shelf, environ: Mapping[str, str]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    if not any((table.eap_password, table.eap_password_file, table.eap_password_env)):
        return "", ()
    key = "eap_password"
    sources = Sources((table.eap_password, key), (table.eap_password_file, key), (table.eap_password_env, key))
    _, text, warnings = read_text(sources, shelf, environ)
    return text, tuple((key, message) for message in warnings)
