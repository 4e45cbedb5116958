"""What a key names: a file, or a credential that the daemon keeps (`stored:NAME`). Read with a limit, and looked at for
who else can read it."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from mobike.config.problems import nearest

STORED: Final = "stored:"
"""Before the name of a credential that was made over the API."""

KEYS_OF_STORED: Final[Mapping[str, frozenset[str]]] = {
    "psk_file": frozenset({"psk"}),
    "ppk_file": frozenset({"ppk"}),
    "eap_password_file": frozenset({"password"}),
    "eap_users": frozenset({"users"}),
    "secret_file": frozenset({"radius"}),
    "local_key": frozenset({"private-key", "identity"}),
    "local_cert": frozenset({"certificate", "identity"}),
    "remote_ca": frozenset({"authority"}),
    "remote_keys": frozenset({"public-key"}),
}
"""Keys of a connection, and of its RADIUS servers, that may name a credential, and of which kinds."""

_SYSTEMD: Final = Path("/run/credentials")
"""Credentials of services, each in a folder of its own that only it can enter; their group bits are masks of ACLs."""


class SecretError(ValueError):
    """No key could be had; `key` is the setting to blame."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Content(NamedTuple):
    """What was read."""

    octets: bytes
    place: str
    """For messages."""
    warnings: tuple[str, ...]
    """What is unwise about where it was."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where what a key names is found."""

    base: Path
    """Relative paths begin here."""
    stored: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Credentials that the daemon keeps: the text of each by its name."""

    def read(self, key: str, name: str, most: int) -> Content:
        """`key` is to blame if there is no such thing, or one of more than `most` octets."""
        if name.startswith(STORED):
            return self._stored(key, name, most)
        path = self.base / name
        content, mode = read_limited(key, path, most)
        return Content(content, str(path), exposed(path, mode))

    def _stored(self, key: str, name: str, most: int) -> Content:
        text = self.stored.get(name.removeprefix(STORED))
        if text is None:
            raise SecretError(key, f"there is no credential {name!r}{nearest(name, map(STORED.__add__, self.stored))}")
        if len(content := text.encode()) > most:
            raise SecretError(key, f"{name} is too long")
        return Content(content, name, ())


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
