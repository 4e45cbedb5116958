"""How much is logged of single peers, as the API sees it: for a while, then as of all others again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LogRuleView:
    """How much is logged of one peer."""

    id: str
    peer: str
    """An address, an identity, a connection or an IKE SA."""
    level: str
    """`debug`, `info`, `warning` or `error`."""
    by: str
    """Who ordered it."""
    made: float
    until: float
    """Seconds since the epoch; then it is over by itself."""


class LogLevels(Protocol):
    """All of them."""

    def general(self) -> str:
        """The level of everything else."""
        ...

    def rules(self) -> Sequence[LogRuleView]: ...

    def set_rule(self, peer: str, level: str, seconds: int, *, by: str) -> LogRuleView:
        """From now on; one of the same peer is replaced. Or Refused."""
        ...

    def end_rule(self, id_: str) -> None:
        """Now; or NotFound."""
        ...
