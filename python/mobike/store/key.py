"""The key that seals what is stored: 32 octets, as `0x` and hexadecimal digits or `0s` and base64."""

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Final

from mobike.store.trouble import StoreError

KEY_OCTETS: Final = 32
_SYSTEMD: Final = Path("/run/credentials")
_LONGEST: Final = 1024
"""Octets of a key file that are looked at."""


def store_key(file: Path, *, given: str | None, stored: bool, what: str = "SAs") -> bytes:
    """The key: as given, else that of the file. Where nothing is stored yet, a file that is not there is made. `what`
    is stored under it."""
    if given is not None:
        return _decoded(file, given)
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & _others(file):
                raise StoreError(file, "others can read or change this key", "chmod 600 it")
            return _decoded(file, opened.read(_LONGEST).decode(errors="replace"))
    except FileNotFoundError:
        if stored:
            fix = f"bring the key back, or move the database away to start without its {what}"
            raise StoreError(file, f"this key is gone, and {what} are stored under it", fix) from None
        return _make(file)
    except OSError as problem:
        raise StoreError(file, f"cannot read the key: {problem.strerror}", "let the daemon read it") from None


def _others(file: Path) -> int:
    """The mode's bits of others. Of a credential of systemd those of the group are the mask of an ACL."""
    return 0o037 if file.is_relative_to(_SYSTEMD) else 0o077


def _make(file: Path) -> bytes:
    key = secrets.token_bytes(KEY_OCTETS)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Under its name only when it is whole: a process that ends in between leaves no key that cannot be read.
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as opened:
                opened.write(f"0x{key.hex()}\n")
                opened.flush()
                os.fsync(opened.fileno())
            os.link(part, file)
        finally:
            part.unlink()
    except OSError as problem:
        fix = "let the daemon write there, or make the key yourself"
        raise StoreError(file, f"cannot make a key: {problem.strerror}", fix) from None
    return key


def _decoded(file: Path, text: str) -> bytes:
    text = text.strip()
    key = b""
    try:
        if text.startswith("0x"):
            key = bytes.fromhex(text[2:])
        elif text.startswith("0s"):
            key = base64.b64decode(text[2:], validate=True)
    except (ValueError, binascii.Error):
        pass
    if len(key) != KEY_OCTETS:
        form = f"{KEY_OCTETS} octets as 0x and hexadecimal digits, or 0s and base64"
        raise StoreError(file, "the store key cannot be read", f"it must be {form}")
    return key
