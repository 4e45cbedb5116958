"""An operator's own word on who may in: what it is asked, what it answers, and what waits for that.

```toml
authorise = "module:Class"      # of a connection
```

It is asked about peers that have proved who they are, and only about those: it can keep out, never let in whom the
connection would not. No word in time, or a fault in it, keeps out.
"""

from collections import OrderedDict, deque
from collections.abc import Awaitable, Collection, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Protocol, TypeAlias, TypeVar

from mobike.address import Endpoint, Ip, Nanos, SaId
from mobike.commands import SECOND, Allow, Deny, EapDone, EapFail
from mobike.events import Authorise, EapAsked, Question, Role

_Answer = TypeVar("_Answer")

PATIENCE: Final = 10 * SECOND
"""The core waits no longer for an answer."""
MOST_WAITING: Final = 4_096
"""Visitors who wait at a time; more are kept out at once."""
MOST_NETWORKS: Final = 16
"""Networks that an authoriser may name for one peer; a Child SA has no more selectors."""
LONGEST_REASON: Final = 200
"""Characters of a reason that reach the log."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A peer that has proved who it is."""

    connection: str
    role: Role
    """Ours: `RESPONDER` if the peer called us."""
    peer_id: str
    """Who it is in IKE. Proven, unless there is a name of EAP."""
    eap_name: str | None
    """Who it proved to be by EAP."""
    certificates: tuple[bytes, ...]
    """X.509 in DER as they came, its own first; none if it did not sign by one. The first was judged already."""
    address: Endpoint
    """Where it speaks from."""


@dataclass(frozen=True, slots=True)
class Admit:
    """It may in."""

    addresses: tuple[Ip, ...] = ()
    """Its inner addresses, if it asks for some: one of each family at most. Of such a family it gets none of the pool,
    and one that lies in the pool must be free."""
    networks: tuple[IPv4Network | IPv6Network, ...] | None = None
    """What it reaches of the networks that its connection carries, and nothing else; None: all of them."""
    pool: str | None = None
    """The name of the pool, one of `[pools]`, that it leases from in place of its connection's."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It stays outside; the log says why, and the peer hears no more than AUTHENTICATION_FAILED."""

    why: str


Judgement: TypeAlias = Admit | Refuse


class Authoriser(Protocol):
    """What a class named by `authorise` has. `judge` may be `async`; one that is not runs in a thread beside the loop.

    Objects are made once for each connection, with no arguments, when the daemon starts.
    """

    def judge(self, visitor: Visitor) -> "Judgement | Awaitable[Judgement]": ...


Ticket: TypeAlias = tuple[SaId, int]
"""Names a question of the core."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Ask the authoriser of this visitor's connection."""

    ticket: Ticket
    visitor: Visitor


Held: TypeAlias = Allow | EapDone
Given: TypeAlias = Allow | Deny | EapDone | EapFail


class Anteroom:
    """Answers that would let somebody in and wait for an authoriser's word, of the connections that have one."""

    def __init__(self, connections: Collection[str], pools: Collection[str] = ()) -> None:
        """`pools`: the names of those that an authoriser may name."""
        self._connections = frozenset(connections)
        self._pools = frozenset(pools)
        self._asked: OrderedDict[Ticket, tuple[Nanos, EapAsked]] = OrderedDict()
        """Questions about EAP whose answer may come from a server, and later."""
        self._held: OrderedDict[Ticket, tuple[Nanos, Held]] = OrderedDict()
        self._inquiries: deque[Inquiry] = deque()
        self._given: deque[Given] = deque()

    def obey(self, connections: Collection[str], pools: Collection[str]) -> None:
        """Other connections have an authoriser now, which may name other pools; who waits goes on to wait."""
        self._connections = frozenset(connections)
        self._pools = frozenset(pools)

    @property
    def busy(self) -> bool:
        """Are there answers to take?"""
        return bool(self._given)

    def note(self, question: Question, now: Nanos) -> None:
        """A question of the core; what it is about is known to whoever answers."""
        if isinstance(question, EapAsked) and question.connection in self._connections:
            self._forget(now)
            self._asked[question.sa, question.question] = (now, question)

    def pass_on(self, answers: Iterable[_Answer], now: Nanos) -> list[_Answer]:
        """Those answers that need nobody else's word; the others wait."""
        return [answer for answer in answers if not self._hold_if_done(answer, now)]

    def hold(self, question: Authorise, answer: Allow, now: Nanos) -> Given | None:
        """Let it wait if an authoriser must be asked; None then."""
        if question.connection not in self._connections:
            return answer
        visitor = Visitor(
            question.connection, question.role, question.peer_id, None, question.certificates, question.path.remote
        )
        return self._keep(visitor, answer, now)

    def take_inquiries(self) -> list[Inquiry]:
        """Whom to ask about now."""
        taken = list(self._inquiries)
        self._inquiries.clear()
        return taken

    def heard(self, ticket: Ticket, judgement: Judgement) -> None:
        """The authoriser has spoken. What nobody waits for any more is passed over."""
        known = self._held.pop(ticket, None)
        if known is None:
            return
        _, answer = known
        match judgement:
            case Admit():
                self._given.append(_granted(answer, judgement, self._pools))
            case Refuse(why):
                self._given.append(_refusal(answer, f"the authoriser says no: {why[:LONGEST_REASON]}"))

    def take_given(self, most: int) -> list[Given]:
        """Answers for the core."""
        return [self._given.popleft() for _ in range(min(most, len(self._given)))]

    def _hold_if_done(self, answer: object, now: Nanos) -> bool:
        if not isinstance(answer, EapDone):
            return False
        known = self._asked.pop((answer.sa, answer.question), None)
        if known is None or known[1].role is not Role.RESPONDER:
            return False
        asked = known[1]
        visitor = Visitor(asked.connection, asked.role, asked.peer_id, answer.peer, (), asked.path.remote)
        refused = self._keep(visitor, answer, now)
        if refused is not None:
            self._given.append(refused)
        return True

    def _keep(self, visitor: Visitor, answer: Held, now: Nanos) -> Given | None:
        self._forget(now)
        if len(self._held) >= MOST_WAITING:
            return _refusal(answer, "too many visitors wait for the authoriser")
        ticket = (answer.sa, answer.question)
        self._held[ticket] = (now, answer)
        self._inquiries.append(Inquiry(ticket, visitor))
        return None

    def _forget(self, now: Nanos) -> None:
        """The core has given up on these; oldest first."""
        for waiting in (self._held, self._asked):
            while waiting and now - next(iter(waiting.values()))[0] >= PATIENCE:
                waiting.popitem(last=False)


def _granted(answer: Held, admit: Admit, pools: Collection[str]) -> Given:
    addresses = _addresses(admit.addresses)
    if addresses is None:
        return _refusal(answer, "the authoriser named addresses that make no sense: one IPv4Address, one IPv6Address")
    if admit.networks is not None and not _are_networks(admit.networks):
        return _refusal(answer, f"the authoriser named networks that make no sense: a tuple of {MOST_NETWORKS} at most")
    if admit.pool is not None and admit.pool not in pools:
        return _refusal(answer, "the authoriser named a pool that is not in [pools]")
    return replace(
        answer,
        addresses=addresses or answer.addresses,
        reach=None if admit.networks is None else tuple(map(str, admit.networks)),
        pool=admit.pool,
    )


def _are_networks(named: object) -> bool:
    """An operator's class may say anything."""
    if not isinstance(named, tuple) or len(named) > MOST_NETWORKS:
        return False
    return all(isinstance(each, IPv4Network | IPv6Network) for each in named)


def _addresses(named: object) -> tuple[Ip, ...] | None:
    """Inner addresses, one of each family at most; None: an operator's class may say anything."""
    if not isinstance(named, tuple):
        return None
    found = tuple(each for each in named if isinstance(each, IPv4Address | IPv6Address))
    return found if len(found) == len(named) == len({each.version for each in found}) else None


def _refusal(answer: Held, why: str) -> Deny | EapFail:
    match answer:
        case Allow(sa, question):
            return Deny(sa, question, why)
        case EapDone(sa, question):
            return EapFail(sa, question, why)
