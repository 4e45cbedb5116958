"""The token that TCP asks for: made at first start, kept in a file that only the daemon's user can read."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

_OCTETS: Final = 32
_MIN_LENGTH: Final = 32
"""Characters; whoever writes the file by hand is held to this."""


class TokenError(Exception):
    """There is no token that can be used; one line says why."""


def load_or_make(path: Path) -> str:
    """The token in a file; a new one where there is no file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return _load(path)
    except OSError as problem:
        raise TokenError(f"cannot write the API's token to {path}: {problem.strerror}") from None
    token = secrets.token_urlsafe(_OCTETS)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token


def _load(path: Path) -> str:
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise TokenError(f"cannot read the API's token from {path}: {problem}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenError(f"others can reach the API's token in {path}; chmod 600 it, or delete it for a new one")
    if len(token) < _MIN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError(f"{path} holds no token of {_MIN_LENGTH} characters or more; delete it for a new one")
    return token
