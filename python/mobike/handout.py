"""What goes with inner addresses: what a gateway tells its clients of the networks behind it. Mirrors
`rust/ike/src/handout.rs`."""

from dataclasses import dataclass

from mobike.address import Ip


@dataclass(frozen=True, slots=True)
class Handout:
    """What a responder gives, or an initiator was given (RFC 7296 section 3.15.1, RFC 8598)."""

    dns: tuple[Ip, ...] = ()
    """Resolvers, most preferred first."""
    networks: tuple[str, ...] = ()
    """Networks behind the gateway."""
    domains: tuple[str, ...] = ()
    """Names below these are for the resolvers, and no others; none: all are."""
    anchors: tuple[str, ...] = ()
    """Keys that sign those domains: the domain, and what a DS record says, like `corp.example 43547 8 2 B622..`."""


NOTHING = Handout()
"""Where nothing was asked for, or nothing given."""
