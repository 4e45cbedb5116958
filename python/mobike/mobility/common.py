"""Transitions that both roles share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from mobike.commands import Announce
from mobike.dataplane.operations import MoveSa, Operation, Park
from mobike.events import Nat, PathChecked, PathHeard, PeerAddresses, PlaneRefused, Role
from mobike.mobility.causes import Cause
from mobike.mobility.session import MoveRecord, Session
from mobike.mobility.states import Away, Stable, Updating
from mobike.mobility.surroundings import Said, Surroundings
from mobike.policy.knowledge import Reach

MOST_PEER_ADDRESSES = 32
"""Addresses kept of a peer's list: each is a pair with each of ours, and a strange peer may send very many."""

Handler: TypeAlias = Callable[[Session, Any, Surroundings], None]
"""One line of a table. `Any`: the table says which cause it is, and the test of the table that it is the right one."""


GroupHandler: TypeAlias = Callable[[Sequence[Session], Surroundings], None]
"""The same transition for very many sessions that are in one situation: decided once, then nothing but outputs."""


def nothing(session: Session, cause: Cause, around: Surroundings) -> None:
    """Known, and of no consequence in this state."""


def note_checked(session: Session, cause: PathChecked, around: Surroundings) -> None:
    """A probe was answered. That proves the pair, and by itself moves nothing (RFC 4555 section 3.10)."""
    around.learn(cause.path.pair, Reach.VERIFIED)


def note_heard(session: Session, cause: PathHeard, around: Surroundings) -> None:
    """Data came back on a pair that was told to be silent. It proves the pair as a test would, and moves nothing."""
    around.learn(cause.path.pair, Reach.VERIFIED)


def note_plane_refused(session: Session, cause: PlaneRefused, around: Surroundings) -> None:
    around.tell(Said.PLANE_REFUSED, session, f"The data plane refused: {cause.why}")


def store_peer_list(session: Session, cause: PeerAddresses, around: Surroundings) -> None:
    """A list replaces the whole old one; where it came from belongs to it unlisted (RFC 4555 section 3.6)."""
    known = session.role is Role.RESPONDER and cause.source == session.path.remote.ip
    whole = cause.addresses if known else tuple(dict.fromkeys((cause.source, *cause.addresses)))
    session.peer_addresses = whole[:MOST_PEER_ADDRESSES]
    used = session.path.remote.ip
    session.left_out = used if session.role is Role.INITIATOR and used not in whole else None
    listed = ", ".join(map(str, cause.addresses[:MOST_PEER_ADDRESSES])) or "none"
    around.tell(Said.PEER_ADDRESSES, session, f"The peer's further addresses are now: {listed}")


def announce_list(session: Session, around: Surroundings) -> None:
    """Tell the peer our list if it has an older one: once, and whole (RFC 4555 section 3.6)."""
    if session.told == around.addresses or not isinstance(session.state, Stable):
        return  # an update in flight carries the list, or is followed by it
    session.told = around.addresses
    around.command(Announce(session.sa, around.addresses, None, session.next_generation()))
    listed = ", ".join(map(str, around.addresses)) or "none"
    around.tell(Said.ANNOUNCED, session, f"Our addresses are now: {listed}")


def traffic_of(session: Session) -> Operation:
    """Where the data plane is to send now: where the session is, or ahead of the answer where it was told to go."""
    state = session.state
    if isinstance(state, Away):
        return Park(session.sa)
    if isinstance(state, Updating) and state.told_plane is not None:
        return MoveSa(session.sa, state.path, state.told_plane)
    return MoveSa(session.sa, session.path, is_encapsulated(session.nat))


def is_encapsulated(nat: Nat) -> bool:
    """UDP encapsulation goes with the pair (RFC 4555 section 3.5): on where a NAT is seen, off elsewhere."""
    return nat is not Nat.NONE


def record_move(session: Session, record: MoveRecord) -> None:
    session.path = record.to_path
    session.last_move = record
    session.moves += 1
