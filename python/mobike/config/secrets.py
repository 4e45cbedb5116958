"""Where a secret comes from: text, file or environment. Its text is never part of a message, a log line or a repr."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

from mobike.config.models import ConnectionTable
from mobike.config.named import SecretError, Shelf
from mobike.config.problems import nearest

WEAK_BELOW: Final = 16
"""Octets. A shared secret must hold as much chance as the strongest key made from it (RFC 7296 section 2.15)."""

PPK_WEAK_BELOW: Final = 32
"""Octets: 256 bits, of which a quantum computer leaves half (RFC 8784 section 6)."""

_MAX_FILE: Final = 64 * 1024
"""Octets of a file with a secret that are looked at."""

_WRITE_OCTETS: Final = "; write octets as 0x... or 0s..."
_WEAK_PSK: Final = "the pre-shared key has {has} octets; anything below {wants} can be guessed offline"
_WEAK_PPK: Final = "the PPK has {has} octets; RFC 8784 wants {wants} at least"


@dataclass(frozen=True, slots=True)
class Secret:
    """A key and what is unwise about it."""

    octets: bytes = field(repr=False)
    key: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a secret may be written: the value and the key of the configuration that is to blame for it, of each."""

    text: tuple[SecretStr | None, str]
    file: tuple[str | None, str]
    variable: tuple[str | None, str]
    otherwise: str = ""
    """What to do where the file is no text."""


def read_psk(table: ConnectionTable, shelf: Shelf, environ: Mapping[str, str]) -> Secret:
    """The key of a connection, from exactly one of its three sources."""
    sources = Sources(
        (table.psk, "psk"), (table.psk_file, "psk_file"), (table.psk_env, "psk_env"), otherwise=_WRITE_OCTETS
    )
    return _read_key(sources, shelf, environ, WEAK_BELOW, _WEAK_PSK)


def read_ppk(table: ConnectionTable, shelf: Shelf, environ: Mapping[str, str]) -> Secret:
    """The additional key of a connection (RFC 8784), from exactly one of its three sources."""
    sources = Sources(
        (table.ppk, "ppk"), (table.ppk_file, "ppk_file"), (table.ppk_env, "ppk_env"), otherwise=_WRITE_OCTETS
    )
    return _read_key(sources, shelf, environ, PPK_WEAK_BELOW, _WEAK_PPK)


def _read_key(sources: Sources, shelf: Shelf, environ: Mapping[str, str], weak_below: int, weak: str) -> Secret:
    key, text, warnings = read_text(sources, shelf, environ)
    octets = decoded(key, text)
    short = (weak.format(has=len(octets), wants=weak_below),) if len(octets) < weak_below else ()
    return Secret(octets, key, warnings + short)


def read_text(sources: Sources, shelf: Shelf, environ: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
    """The key of the source that is given, its text, and what is unwise about where it was."""
    (value, key), (path, of_file), (variable, of_variable) = sources.text, sources.file, sources.variable
    if value is not None:
        return key, value.get_secret_value(), ()
    if path is not None:
        text, warnings = _read_text(path, of_file, shelf, sources.otherwise)
        return of_file, text, warnings
    name = variable or ""
    if name not in environ:
        raise SecretError(of_variable, f"the environment has no variable {name!r}{nearest(name, environ)}")
    return of_variable, environ[name], ()


def _read_text(name: str, key: str, shelf: Shelf, otherwise: str) -> tuple[str, tuple[str, ...]]:
    content = shelf.read(key, name, _MAX_FILE)
    try:
        text = content.octets.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretError(key, f"{content.place} is no text{otherwise}") from None
    return text, content.warnings


def decoded(key: str, text: str) -> bytes:
    """Plain text, `0x` and hexadecimal digits, or `0s` and base64, as swanctl writes them."""
    try:
        if text.startswith("0x"):
            octets = bytes.fromhex(text[2:])
        elif text.startswith("0s"):
            octets = base64.b64decode(text[2:], validate=True)
        else:
            octets = text.encode()
    except (ValueError, binascii.Error):
        raise SecretError(
            key, "the pre-shared key begins with 0x or 0s, but no hexadecimal or base64 follows"
        ) from None
    if not octets:
        raise SecretError(key, "the pre-shared key is empty")
    return octets
