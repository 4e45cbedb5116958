"""What is shown of a session but never decided on, folded into bytes: a gateway holds very many of them.

Loose objects for these fields take about 500 bytes for each SA; folded they take about 150.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import accumulate
from struct import Struct

from mobike.address import ChildId, Ip, Nanos
from mobike.events import ChildUp, IkeSaRekeyed, IkeSaUp
from mobike.handout import NOTHING, Handout

_SESSION = Struct("!QQQBBBB")
_CHILD = Struct("!QII??HH")
_LONGEST = 255
"""Octets shown of one piece. A peer may name itself in 64 KiB; nobody needs to read, or to store, more than this."""
_MOST_IPS = 64
"""Inner addresses shown of one SA: a strange peer may send very many."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a person wants to see of an IKE SA."""

    since: Nanos
    spi_i: int
    spi_r: int
    peer_id: str
    virtual_ips: tuple[Ip, ...]
    handout: Handout
    """Without its trust anchors: they are for hooks, not for people."""


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """What a person wants to see of a Child SA."""

    child: ChildId
    name: str
    spi_in: int
    spi_out: int
    suite: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    encap: bool
    transport_mode: bool


def fold_session(event: IkeSaUp, now: Nanos) -> bytes:
    ips, told = event.virtual_ips[:_MOST_IPS], event.handout
    counts = (len(ips), len(told.dns), len(told.networks), len(told.domains))
    texts = (text.encode() for text in (*told.networks, *told.domains))
    pieces = [event.peer_id.encode(), *(ip.packed for ip in (*ips, *told.dns)), *texts]
    return _SESSION.pack(now, event.spi_i, event.spi_r, *counts) + _join(pieces)


def rekeyed(folded: bytes, event: IkeSaRekeyed) -> bytes:
    """The same session with other SPIs."""
    since, _, _, *counts = _SESSION.unpack_from(folded)
    return _SESSION.pack(since, event.spi_i, event.spi_r, *counts) + folded[_SESSION.size :]


def unfold_session(folded: bytes) -> SessionFacts:
    since, spi_i, spi_r, *counts = _SESSION.unpack_from(folded)
    (peer_id, *pieces), _ = _split(folded, _SESSION.size, 1 + sum(counts))
    ips, dns, networks, domains = _parted(pieces, counts)
    handout = NOTHING
    if any(counts[1:]):
        handout = Handout(_ips(dns), tuple(map(bytes.decode, networks)), tuple(map(bytes.decode, domains)))
    return SessionFacts(Nanos(since), spi_i, spi_r, peer_id.decode(errors="replace"), _ips(ips), handout)


def _ips(packed: Sequence[bytes]) -> tuple[Ip, ...]:
    return tuple(map(ip_address, packed))


def _parted(pieces: Sequence[bytes], counts: Sequence[int]) -> Iterator[Sequence[bytes]]:
    ends = tuple(accumulate(counts))
    return (pieces[end - count : end] for count, end in zip(counts, ends, strict=True))


def fold_child(event: ChildUp, first: str = "") -> bytes:
    """One Child SA; those of a session are simply put one behind the other. The name `first` goes without saying."""
    name = "" if event.name == first else event.name
    pieces = [text.encode() for text in (name, event.suite, *event.local_ts, *event.remote_ts)]
    counts = (len(event.local_ts), len(event.remote_ts))
    return _CHILD.pack(event.child, event.spi_in, event.spi_out, event.encap, event.transport_mode, *counts) + _join(
        pieces
    )


def unfold_children(folded: bytes, first: str = "") -> tuple[ChildFacts, ...]:
    return tuple(facts for facts, _ in _children(folded, first))


def without_child(folded: bytes, child: ChildId) -> bytes:
    return b"".join(each for facts, each in _children(folded) if facts.child != child)


def _children(folded: bytes, first: str = "") -> Iterator[tuple[ChildFacts, bytes]]:
    at = 0
    while at < len(folded):
        child, spi_in, spi_out, encap, transport, local, remote = _CHILD.unpack_from(folded, at)
        pieces, end = _split(folded, at + _CHILD.size, 2 + local + remote)
        name, suite, *selectors = (piece.decode(errors="replace") for piece in pieces)
        ours, theirs = tuple(selectors[:local]), tuple(selectors[local:])
        facts = ChildFacts(child, name or first, spi_in, spi_out, suite, ours, theirs, encap, transport)
        yield facts, folded[at:end]
        at = end


def _join(pieces: Sequence[bytes]) -> bytes:
    """One octet of length for each piece, then the pieces."""
    short = [piece[:_LONGEST] for piece in pieces]
    return bytes(map(len, short)) + b"".join(short)


def _split(folded: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    pieces = []
    lengths, at = folded[at : at + count], at + count
    for length in lengths:
        pieces.append(folded[at : at + length])
        at += length
    return pieces, at
