"""Away until a time (docs/extensions/away.md): lines of the tables that both roles share, and words for spans."""

from mobike.address import Nanos
from mobike.dataplane.operations import Park
from mobike.events import AwayRefused, PeerAway, WentAway
from mobike.mobility.causes import ComeBack, GoAway
from mobike.mobility.session import Session
from mobike.mobility.states import Away
from mobike.mobility.surroundings import Said, Surroundings

_SECOND = 1_000_000_000


def park(session: Session, cause: WentAway | PeerAway, around: Surroundings) -> None:
    """Nothing may go out any more. A second leave replaces the first."""
    since = session.state.since if isinstance(session.state, Away) else around.now
    session.state = Away(since, Nanos(around.now + cause.span))
    around.operate(Park(session.sa))
    if isinstance(cause, WentAway):
        text = f"Away for at most {words(cause.span)}; coming back takes one exchange"
        around.tell(Said.AWAY, session, text)
    else:
        around.tell(Said.PEER_AWAY, session, f"The peer is away for at most {words(cause.span)}")


def note_refusal(session: Session, cause: AwayRefused, around: Surroundings) -> None:
    around.tell(Said.AWAY_REFUSED, session, f"Cannot be away: {cause.why}")


def decline_leave(session: Session, cause: GoAway, around: Surroundings) -> None:
    around.tell(Said.AWAY_REFUSED, session, f"Cannot be away: {_objection(session)}")


def decline_return(session: Session, cause: ComeBack, around: Surroundings) -> None:
    around.tell(Said.ORDER_REFUSED, session, "Cannot come back: it is not away")


def _objection(session: Session) -> str:
    if not session.mobike:
        return "the peer does not speak MOBIKE, and would take us for dead"
    if isinstance(session.state, Away):
        return "it is away already"
    return f"it is {session.state}, and must be established first"


def words(span: int) -> str:
    """`8 h`, `1 h 30 min`, `12 s`: the two greatest units."""
    seconds = span // _SECOND
    parts = ((seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"
