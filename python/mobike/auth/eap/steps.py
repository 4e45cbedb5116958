"""What may come next in a conversation, and what a method is told before it."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from mobike.auth.trust import Trust
from mobike.commands import Credential


@dataclass(frozen=True, slots=True)
class Say:
    """This, in the same method."""

    data: bytes = field(repr=False)
    refused: str | None = None
    """Server: it tells the peer that it has failed, for this reason; who hears that may say nothing more."""


@dataclass(frozen=True, slots=True)
class Won:
    """The method has ended well."""

    key: bytes | None = field(repr=False)
    """MSK."""
    user: str | None = None
    """Who the peer proved to be."""


@dataclass(frozen=True, slots=True)
class Lost:
    """It has failed; one line for people, who want to know whose fault it was."""

    why: str


@dataclass(frozen=True, slots=True)
class TlsOrders:
    """What we show in EAP-TLS, and whom we believe."""

    credential: Credential
    trust: Trust


Step: TypeAlias = Say | Won | Lost


class Method(Protocol):
    """One side of a method, of one conversation. A server's begins by hearing nothing."""

    @property
    def number(self) -> int:
        """Its type."""

    def hear(self, data: bytes | None) -> Step:
        """What the peer said in this method."""


class ClientMethod(Method, Protocol):
    """The client's side."""

    @property
    def reason(self) -> str | None:
        """Why the server is about to refuse us, if it said so."""

    def ended(self) -> Won | None:
        """The server says that it ended well: does it? None: not by what we have seen."""
