"""How a command ends when it does not do what it was asked to."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell apart."""

    DONE = 0
    FAILED = 1
    """The daemon refused, or could not do it."""
    USAGE = 2
    """The command line or the configuration makes no sense."""
    UNREACHABLE = 3
    """No daemon answers."""


class Failure(Exception):
    """Ends the command: one line for a person, a hint perhaps, and a code for a script."""

    def __init__(self, message: str, *, code: ExitCode = ExitCode.FAILED, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Missing(Failure):
    """The daemon knows no such thing."""
