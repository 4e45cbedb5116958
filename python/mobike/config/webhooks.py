"""[api.webhooks.NAME]: who is told of events, and the secret that signs what is told."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mobike.config.locate import Key
from mobike.config.models import WebhookTable
from mobike.config.named import SecretError, Shelf
from mobike.config.secrets import Sources, read_text
from mobike.config.settings import WebhookSettings

SHORTEST: Final = 16
"""Octets of a secret: what is shorter can be guessed by whoever has seen one message."""
_ONE: Final = "needs exactly one of secret, secret_file, secret_env"


def webhooks(
    tables: Mapping[str, WebhookTable], base: Path, environ: Mapping[str, str], problem: Callable[[Key, str], None]
) -> tuple[WebhookSettings, ...]:
    """The settings; what is wrong is told to `problem`."""
    return tuple(_read_each(tables, base, environ, problem))


def _read_each(
    tables: Mapping[str, WebhookTable], base: Path, environ: Mapping[str, str], problem: Callable[[Key, str], None]
) -> Iterator[WebhookSettings]:
    for name, table in tables.items():
        at = ("api", "webhooks", name)
        if (objection := _objection(table.url)) is not None:
            problem((*at, "url"), objection)
        try:
            yield WebhookSettings(name, table.url, _secret(table, base, environ), tuple(table.events))
        except SecretError as error:
            problem((*at, error.key) if error.key else at, str(error))


def _secret(table: WebhookTable, base: Path, environ: Mapping[str, str]) -> bytes:
    if sum(each is not None for each in (table.secret, table.secret_file, table.secret_env)) != 1:
        raise SecretError("", _ONE)
    sources = Sources((table.secret, "secret"), (table.secret_file, "secret_file"), (table.secret_env, "secret_env"))
    key, text, _ = read_text(sources, Shelf(base), environ)
    octets = text.strip().encode()
    if len(octets) < SHORTEST:
        raise SecretError(key, f"has {len(octets)} octets; {SHORTEST} at least")
    return octets


def _objection(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.scheme not in {"http", "https"} or not host:
        return "is no URL like https://example.net/hooks"
    if parts.username or parts.password:
        return "holds a password; what is told is signed with the secret instead"
    if parts.scheme == "http" and not _is_loopback(host):
        return f"what is told says who the peers are: use https, or a host of loopback instead of {host}"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
