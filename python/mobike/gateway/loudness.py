"""How loudly each kind of note is logged."""

import logging
from typing import Final

LOUD: Final = frozenset({"internal-error"})
"""A fault of ours."""
WARNINGS: Final = frozenset(
    {
        "connect-failed",
        "child-failed",
        "move-refused",
        "move-failed",
        "waiting",
        "path-silent",
        "plane-refused",
        "config-refused",
        "credential-near",
        "credential-past",
        "credential-early",
    }
)
"""Worth a look."""
NOTICE: Final = "notice-"
"""The core refused a packet or a peer."""
QUIET: Final = frozenset({"child-up", "child-down", "kept"})
"""Seen in the journal; in the log only for who asks for details."""


def level_of(kind: str) -> int:
    """The level of a note of this kind."""
    if kind in LOUD:
        return logging.ERROR
    if kind in WARNINGS or kind.startswith(NOTICE):
        return logging.WARNING
    return logging.DEBUG if kind in QUIET else logging.INFO
