"""Local addresses in the operator's order."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from mobike.address import Ip


@dataclass(frozen=True, slots=True)
class LinkRule:
    """What the operator says of the links whose name matches `pattern` (shell wildcards: `wlan*`)."""

    pattern: str
    rank: int = 0
    """Order of preference; smaller is better."""
    cost: int = 0
    """What traffic costs there, in the operator's own unit; decides among links of one rank."""
    allowed: bool = True

    def matches(self, link: str) -> bool:
        return fnmatchcase(link, self.pattern)


UNRANKED = LinkRule("*", rank=1_000)
"""A link that no rule names: usable, behind all that the operator has named."""


def rule_for(link: str, rules: tuple[LinkRule, ...]) -> LinkRule:
    """The first rule that matches speaks for a link."""
    return next((rule for rule in rules if rule.matches(link)), UNRANKED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A local address as one connection sees it."""

    ip: Ip
    link: str
    rank: int = 0
    cost: int = 0
    allowed: bool = True
    """The operator's rules let this connection use it."""
    available: bool = True
    """Assigned, and its link is up."""
    settled: bool = True
    """It has been there long enough to leave a working pair for it."""
    deprecated: bool = False
    """IPv6: its preferred lifetime is over (RFC 6724 section 5, rule 3)."""
    optimistic: bool = False
    """IPv6: it may still turn out to be somebody else's (RFC 4429): used last."""
    avoided: bool = False
    """The operator wants it left alone for now: used where nothing else is left."""
    tunnel: bool = False
    """It is an inner address of one of our own tunnels: never a path for one (RFC 4621 section 2)."""

    def __str__(self) -> str:
        return f"{self.ip} ({self.link})"
