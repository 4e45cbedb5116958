"""Where a secret comes from: text, file or environment. Its text is never part of a message, a log line or a repr."""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from mobike.config.models import ConnectionTable
from mobike.config.problems import nearest

WEAK_BELOW: Final = 16
"""Octets. A shared secret must hold as much chance as the strongest key made from it (RFC 7296 section 2.15)."""

PPK_WEAK_BELOW: Final = 32
"""Octets: 256 bits, of which a quantum computer leaves half (RFC 8784 section 6)."""

_MAX_FILE: Final = 64 * 1024
"""Octets of a file with a secret that are looked at."""

_SYSTEMD: Final = Path("/run/credentials")
"""Credentials of services, each in a folder of its own that only it can enter; their group bits are masks of ACLs."""

_WRITE_OCTETS: Final = "; write octets as 0x... or 0s..."
_WEAK_PSK: Final = "the pre-shared key has {has} octets; anything below {wants} can be guessed offline"
_WEAK_PPK: Final = "the PPK has {has} octets; RFC 8784 wants {wants} at least"


@dataclass(frozen=True, slots=True)
class Secret:
    """A key and what is unwise about it."""

    octets: bytes = field(repr=False)
    key: str
    warnings: tuple[str, ...] = ()


class SecretError(ValueError):
    """No key could be had; `key` is the setting to blame."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a secret may be written: the value and the key of the configuration that is to blame for it, of each."""

    text: tuple[SecretStr | None, str]
    file: tuple[str | None, str]
    variable: tuple[str | None, str]
    otherwise: str = ""
    """What to do where the file is no text."""


def read_psk(table: ConnectionTable, base: Path, environ: Mapping[str, str]) -> Secret:
    """The key of a connection, from exactly one of its three sources; files are relative to `base`."""
    sources = Sources(
        (table.psk, "psk"), (table.psk_file, "psk_file"), (table.psk_env, "psk_env"), otherwise=_WRITE_OCTETS
    )
    return _read_key(sources, base, environ, WEAK_BELOW, _WEAK_PSK)


def read_ppk(table: ConnectionTable, base: Path, environ: Mapping[str, str]) -> Secret:
    """The additional key of a connection (RFC 8784), from exactly one of its three sources."""
    sources = Sources(
        (table.ppk, "ppk"), (table.ppk_file, "ppk_file"), (table.ppk_env, "ppk_env"), otherwise=_WRITE_OCTETS
    )
    return _read_key(sources, base, environ, PPK_WEAK_BELOW, _WEAK_PPK)


def _read_key(sources: Sources, base: Path, environ: Mapping[str, str], weak_below: int, weak: str) -> Secret:
    key, text, warnings = read_text(sources, base, environ)
    octets = _decode(key, text)
    short = (weak.format(has=len(octets), wants=weak_below),) if len(octets) < weak_below else ()
    return Secret(octets, key, warnings + short)


def read_text(sources: Sources, base: Path, environ: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
    """The key of the source that is given, its text, and what is unwise about where it was."""
    (value, key), (path, of_file), (variable, of_variable) = sources.text, sources.file, sources.variable
    if value is not None:
        return key, value.get_secret_value(), ()
    if path is not None:
        text, warnings = _read_file(base / path, of_file, sources.otherwise)
        return of_file, text, warnings
    name = variable or ""
    if name not in environ:
        raise SecretError(of_variable, f"the environment has no variable {name!r}{nearest(name, environ)}")
    return of_variable, environ[name], ()


def read_limited(key: str, path: Path, most: int) -> tuple[bytes, int]:
    """The content of a file and its mode; `key` is to blame if it cannot be read or is longer than `most` octets."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(most + 1)
    except FileNotFoundError as problem:
        raise SecretError(key, f"cannot read {path}: {problem.strerror}{_neighbour(path)}") from None
    except OSError as problem:
        raise SecretError(key, f"cannot read {path}: {problem.strerror}") from None
    except ValueError:
        raise SecretError(key, "is no name of a file") from None
    if len(content) > most:
        raise SecretError(key, f"{path} is too long")
    return content, mode


def _neighbour(path: Path) -> str:
    """The file beside it whose name is nearest."""
    try:
        return nearest(path.name, os.listdir(path.parent))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return ""


def _read_file(path: Path, key: str, otherwise: str) -> tuple[str, tuple[str, ...]]:
    content, mode = read_limited(key, path, _MAX_FILE)
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretError(key, f"{path} is no text{otherwise}") from None
    return text, exposed(path, mode)


def exposed(path: Path, mode: int) -> tuple[str, ...]:
    """What is unwise about a file with a secret in it: who besides its owner can read it."""
    if path.is_relative_to(_SYSTEMD):
        return ()
    exposed_to = exposure(mode)
    return (f"{path} can be read by {exposed_to}; chmod 600 it",) if exposed_to else ()


def exposure(mode: int) -> str | None:
    """Who besides its owner can read a file of this mode."""
    readers = [who for who, bit in (("its group", stat.S_IRGRP), ("everybody", stat.S_IROTH)) if mode & bit]
    return " and ".join(readers) or None


def _decode(key: str, text: str) -> bytes:
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
