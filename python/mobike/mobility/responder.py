"""The responder follows the initiator (RFC 4555 section 3.5), and says where it can be reached itself (section 3.6).

    STABLE    nothing awaited
    WAITING   its own address in use is gone and no other can be used; awaits one
    AWAY      the peer is, by agreement (docs/extensions/away.md); awaits its UPDATE_SA_ADDRESSES

It never sends UPDATE_SA_ADDRESSES. When its own address dies it may move its Child SAs at once and announces its list;
the initiator then moves the IKE SA.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from mobike.address import Endpoint, Generation, Pair, Path
from mobike.commands import Announce
from mobike.dataplane.operations import Behind, MoveSa
from mobike.events import (
    Nat,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathHeard,
    PathSilent,
    PeerAddresses,
    PeerAway,
    PeerMoved,
    PlaneRefused,
    SaMoved,
)
from mobike.mobility.away import decline_return, park, words
from mobike.mobility.causes import Cause, ComeBack, GoAway, LocalLost, LookAgain, TimeUp, Woken
from mobike.mobility.common import (
    Handler,
    announce_list,
    is_encapsulated,
    note_plane_refused,
    nothing,
    record_move,
    store_peer_list,
)
from mobike.mobility.session import MoveRecord, Session
from mobike.mobility.states import STABLE, Away, Stable, State, Waiting
from mobike.mobility.surroundings import Current, Said, Surroundings
from mobike.policy.choose import Choice, Keep, NoPair

_NO_NAT: Final = Nat.NONE


def _follow_peer(session: Session, cause: PeerMoved, around: Surroundings) -> None:
    """All Child SAs follow, together, to where the packet came from. The core has asked for COOKIE2 where it must."""
    proof = "it proved that it receives there" if cause.verified else "by policy without a return routability check"
    why = f"the peer moved to {cause.path.remote}, {proof}"
    around.operate(MoveSa(session.sa, cause.path, is_encapsulated(cause.nat), Behind.LATE))
    record_move(session, MoveRecord(around.now, session.path, cause.path, why, None))
    session.nat = cause.nat
    session.peer_chose = cause.path
    session.state = STABLE
    around.tell(Said.PEER_MOVED, session, f"T{why[1:]}")


def _welcome_back(session: Session, cause: PeerMoved, around: Surroundings) -> None:
    """As any move; and it hears what changed here meanwhile."""
    assert isinstance(session.state, Away)  # noqa: S101 - the table says so
    span = around.now - session.state.since
    _follow_peer(session, cause, around)
    around.tell(Said.PEER_BACK, session, f"The peer is back after {words(span)}")
    announce_list(session, around)


def _leave_dead_address(session: Session, cause: LocalLost, around: Surroundings) -> None:
    """Send from another address at once, and announce the list from there (RFC 4555 section 3.5, last paragraphs)."""
    match around.choose(session, current=Current.IN_USE):
        case Choice(pair, why):
            _speak_from(session, around, pair, why)
        case Keep():
            announce_list(session, around)
        case NoPair(why):
            session.state = Waiting(around.now, why)
            around.tell(Said.WAITING, session, f"Nothing to move to: {why}")


def leave_dead_address_together(sessions: Sequence[Session], around: Surroundings) -> None:
    """As `_leave_dead_address` for each. They share connection, local end and state, and list no further addresses."""
    first = sessions[0]
    match around.choose(first, current=Current.IN_USE):
        case Choice(pair, why):
            _speak_from_together(sessions, around, around.path(first, pair).local, why)
        case Keep() | NoPair():
            for session in sessions:
                _leave_dead_address(session, LocalLost(session.path.local.ip), around)


def _speak_from_together(sessions: Sequence[Session], around: Surroundings, local: Endpoint, why: str) -> None:
    """The loop that 100,000 SAs pass: four objects each, and no call that could be made before."""
    now, addresses, command, operate = around.now, around.addresses, around.command, around.operate
    for session in sessions:
        before = session.path
        session.path = path = Path(local, before.remote, before.transport)
        session.generation = generation = Generation(session.generation + 1)
        session.told = addresses
        session.last_move = MoveRecord(now, before, path, why, None)
        session.moves += 1
        command(Announce(session.sa, addresses, path, generation))
        operate(MoveSa(session.sa, path, session.nat is not _NO_NAT))
    around.tell_all(Said.MOVED, sessions, why)


def _leave_when_possible(session: Session, cause: LookAgain, around: Surroundings) -> None:
    match around.choose(session, current=Current.IN_USE):
        case Choice(pair, why):
            _speak_from(session, around, pair, why)
        case Keep(why):
            _speak_from(session, around, session.pair, why)
        case NoPair():
            pass


def _speak_from(session: Session, around: Surroundings, pair: Pair, why: str) -> None:
    """Traffic follows only where the peer is: an address that it merely lists may be a victim's (section 3.7)."""
    path = around.path(session, pair)
    session.told = around.addresses
    around.command(Announce(session.sa, around.addresses, path, session.next_generation()))
    if path.remote != session.path.remote:
        session.state = Waiting(around.now, why)
        around.tell(Said.WAITING, session, f"The peer is asked to move, from {path}: {why}", path)
        return
    behind = Behind.MORE if session.path.local.ip in around.addresses else Behind.NOTHING
    around.operate(MoveSa(session.sa, path, is_encapsulated(session.nat), behind))
    record_move(session, MoveRecord(around.now, session.path, path, why, None))
    session.state = STABLE
    around.tell(Said.MOVED, session, why)


def _return_or_announce(session: Session, cause: LookAgain, around: Surroundings) -> None:
    """An address that we had to leave is there again, and the initiator never moved from it: perhaps our list did not
    reach it, for NATs and firewalls let in only what comes from where something went. Whoever chose the pair is right.
    """
    there = session.peer_chose
    if there.local != session.path.local and there.remote == session.path.remote and not around.is_dead(there):
        _speak_from(session, around, there.pair, f"{there.local.ip} is there again, and the peer still sends to it")
    else:
        announce_list(session, around)


def _announce(session: Session, cause: Woken, around: Surroundings) -> None:
    announce_list(session, around)


def _decline(session: Session, cause: OperatorMove, around: Surroundings) -> None:
    around.tell(Said.ORDER_REFUSED, session, "Only the initiator of an IKE SA can move it (RFC 4555 section 3.5)")


def _decline_leave(session: Session, cause: GoAway, around: Surroundings) -> None:
    around.tell(Said.AWAY_REFUSED, session, "Cannot be away: only the initiator of an IKE SA can")


def _note_silence(session: Session, cause: PathSilent, around: Surroundings) -> None:
    """The initiator is the one to move; we are patient (RFC 4555 section 3.11), and say so."""
    waited = f"{cause.unanswered_for / 1e6:.0f} ms"
    around.tell(Said.SILENT, session, f"{cause.path.remote} has not answered {cause.tries} requests in {waited}")


def _note_nat(session: Session, cause: NatChanged, around: Surroundings) -> None:
    around.tell(Said.NAT_CHANGED, session, f"A NAT on {cause.path} changed its mapping; the initiator repairs it")


TABLE: Final[Mapping[tuple[type[State], type[Cause]], Handler]] = {
    (Stable, LocalLost): _leave_dead_address,
    (Stable, LookAgain): _return_or_announce,
    (Stable, TimeUp): nothing,
    (Stable, Woken): _announce,
    (Stable, OperatorMove): _decline,
    (Stable, GoAway): _decline_leave,
    (Stable, ComeBack): decline_return,
    (Stable, PeerAway): park,
    (Stable, PathSilent): _note_silence,
    (Stable, PathChecked): nothing,  # facts of pairs are shared among initiators; a gateway's peers share none
    (Stable, PathHeard): nothing,
    (Stable, PeerMoved): _follow_peer,
    (Stable, PeerAddresses): store_peer_list,
    (Stable, NatChanged): _note_nat,
    (Stable, SaMoved): nothing,
    (Stable, PlaneRefused): note_plane_refused,
    (Waiting, LocalLost): nothing,
    (Waiting, LookAgain): _leave_when_possible,
    (Waiting, TimeUp): nothing,
    (Waiting, Woken): nothing,
    (Waiting, OperatorMove): _decline,
    (Waiting, GoAway): _decline_leave,
    (Waiting, ComeBack): decline_return,
    (Waiting, PeerAway): park,
    (Waiting, PathSilent): nothing,  # nothing of ours can leave
    (Waiting, PathChecked): nothing,
    (Waiting, PathHeard): nothing,
    (Waiting, PeerMoved): _follow_peer,
    (Waiting, PeerAddresses): store_peer_list,
    (Waiting, NatChanged): _note_nat,
    (Waiting, SaMoved): nothing,
    (Waiting, PlaneRefused): note_plane_refused,
    (Away, LocalLost): nothing,  # the peer finds us at another address, or hears of it when it is back
    (Away, LookAgain): nothing,
    (Away, TimeUp): nothing,
    (Away, Woken): nothing,
    (Away, OperatorMove): _decline,
    (Away, GoAway): _decline_leave,
    (Away, ComeBack): decline_return,
    (Away, PeerAway): park,
    (Away, PathSilent): nothing,  # from before
    (Away, PathChecked): nothing,
    (Away, PathHeard): nothing,
    (Away, PeerMoved): _welcome_back,
    (Away, PeerAddresses): store_peer_list,
    (Away, NatChanged): nothing,
    (Away, SaMoved): nothing,
    (Away, PlaneRefused): note_plane_refused,
}
"""Updating stands nowhere, nor do Moved and MoveRefused: a responder asks for no move, and for no leave."""
