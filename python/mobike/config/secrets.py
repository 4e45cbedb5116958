"""Where a pre-shared key comes from. Its text is never part of a message, a log line or a repr."""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mobike.config.models import ConnectionTable

WEAK_BELOW: Final = 16
"""Octets. A shared secret must hold as much chance as the strongest key made from it (RFC 7296 section 2.15)."""

PPK_WEAK_BELOW: Final = 32
"""Octets: 256 bits, of which a quantum computer leaves half (RFC 8784 section 6)."""

_MAX_FILE: Final = 64 * 1024
"""Octets of a psk_file that are looked at."""


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


def read_psk(table: ConnectionTable, base: Path, environ: Mapping[str, str]) -> Secret:
    """The key of a connection, from exactly one of its three sources; files are relative to `base`."""
    warnings: list[str] = []
    if table.psk is not None:
        key, text = "psk", table.psk.get_secret_value()
    elif table.psk_file is not None:
        key = "psk_file"
        text, warnings = _read_file(base / table.psk_file, key)
    else:
        key, name = "psk_env", table.psk_env or ""
        if name not in environ:
            raise SecretError(key, f"the environment has no variable {name!r}")
        text = environ[name]
    octets = _decode(key, text)
    if len(octets) < WEAK_BELOW:
        warnings.append(
            f"the pre-shared key has {len(octets)} octets; anything below {WEAK_BELOW} can be guessed offline"
        )
    return Secret(octets, key, tuple(warnings))


def read_ppk(table: ConnectionTable, base: Path, environ: Mapping[str, str]) -> Secret:
    """The additional key of a connection (RFC 8784), from exactly one of its three sources."""
    warnings: list[str] = []
    if table.ppk is not None:
        key, text = "ppk", table.ppk.get_secret_value()
    elif table.ppk_file is not None:
        key = "ppk_file"
        text, warnings = _read_file(base / table.ppk_file, key)
    else:
        key, name = "ppk_env", table.ppk_env or ""
        if name not in environ:
            raise SecretError(key, f"the environment has no variable {name!r}")
        text = environ[name]
    octets = _decode(key, text)
    if len(octets) < PPK_WEAK_BELOW:
        warnings.append(f"the PPK has {len(octets)} octets; RFC 8784 wants {PPK_WEAK_BELOW} at least")
    return Secret(octets, key, tuple(warnings))


def read_limited(key: str, path: Path, most: int) -> tuple[bytes, int]:
    """The content of a file and its mode; `key` is to blame if it cannot be read or is longer than `most` octets."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(most + 1)
    except OSError as problem:
        raise SecretError(key, f"cannot read {path}: {problem.strerror}") from None
    if len(content) > most:
        raise SecretError(key, f"{path} is too long")
    return content, mode


def _read_file(path: Path, key: str) -> tuple[str, list[str]]:
    content, mode = read_limited(key, path, _MAX_FILE)
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretError(key, f"{path} is no text; write octets as 0x... or 0s...") from None
    exposed_to = exposure(mode)
    return text, [f"{path} can be read by {exposed_to}; chmod 600 it"] if exposed_to else []


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
