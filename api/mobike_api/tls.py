"""TLS for the TCP listener, and who a client's certificate says that it is."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mobike.facade.books import Scope

PEER_NAMES: Final = "mobike.peer_names"
"""Key of the ASGI scope: the names in the client's certificate, which an authority of ours has signed."""

_KINDS: Final = {"DNS", "URI", "email"}


class TlsError(Exception):
    """TLS cannot be; one line says why."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The listener's own certificate, and those of the clients."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """Who calls must show a certificate of one of these authorities; None: nobody is asked for one."""
    clients: Mapping[str, Scope] = field(default_factory=dict)
    """What those may do who call without a token, by a name in their certificate."""


def context_of(tls: Tls) -> ssl.SSLContext:
    """TLS 1.3: every client of these years knows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as problem:
        raise TlsError(f"{tls.certificate} and {tls.key} cannot be used: {_words(problem)}") from None
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(tls.client_ca)
        except (OSError, ssl.SSLError) as problem:
            raise TlsError(f"{tls.client_ca} cannot be used: {_words(problem)}") from None
    return context


def names_of(transport: asyncio.BaseTransport) -> tuple[str, ...]:
    """The alternative names in the certificate of who is at the other end; the common name where it has none."""
    certificate: Mapping[str, Any] = transport.get_extra_info("peercert") or {}
    names = tuple(name for kind, name in certificate.get("subjectAltName", ()) if kind in _KINDS)
    common = (value for part in certificate.get("subject", ()) for key, value in part if key == "commonName")
    return names or tuple(common)


def scope_of(names: Sequence[str], clients: Mapping[str, Scope]) -> tuple[str, Scope] | None:
    """The name that counts and what it may do. Of several names the one that may do least."""
    known = [(name, clients[name]) for name in names if name in clients]
    return min(known, key=lambda each: sum(map(each[1].covers, Scope)), default=None)


def _words(problem: OSError) -> str:
    return problem.strerror or str(problem)
