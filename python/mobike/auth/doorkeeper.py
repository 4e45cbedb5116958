"""Answers the core's questions, a limited number a turn: certificates and passwords cost time, and a turn must not."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from mobike.address import Nanos
from mobike.auth.chain import Refused, validate
from mobike.auth.eap.talks import Orders, Reply, Talks
from mobike.auth.names import MOST_ADDRESSES, PeerName, addresses_of
from mobike.auth.radius import Relay
from mobike.auth.trust import Trust, key_info
from mobike.auth.visitors import Anteroom, Inquiry, Judgement, Ticket
from mobike.commands import SECOND, Allow, Close, Deny
from mobike.events import Authorise, EapAsked, Question

ANSWERS_PER_TURN: Final = 32
"""Each takes some half a millisecond, for a chain of three."""
PATIENCE: Final = 10 * SECOND
"""The core waits no longer, so older questions are not worth an answer."""
MOST_WAITING: Final = 16_384
"""Of all shards together; beyond, the oldest is forgotten, which refuses the peer."""


class Doorkeeper:
    """Who may in, by connection; `talks` are those of EAP, `authorised` the connections with an
    authoriser, which may name one of `pools`."""

    def __init__(
        self,
        trusts: Mapping[str, Trust],
        talks: Talks | None = None,
        authorised: Collection[str] = (),
        pools: Collection[str] = (),
    ) -> None:
        self._trusts = dict(trusts)
        self._talks = Talks({}, bytes) if talks is None else talks
        self._anteroom = Anteroom(authorised, pools)
        self._waiting: deque[tuple[Nanos, Question]] = deque(maxlen=MOST_WAITING)

    def obey(
        self,
        trusts: Mapping[str, Trust],
        orders: Mapping[str, Orders],
        authorised: Collection[str],
        pools: Collection[str],
    ) -> None:
        """The same as at the start, for whoever is asked about from now on."""
        self._trusts = dict(trusts)
        self._talks.obey(orders)
        self._anteroom.obey(authorised, pools)

    def ask(self, questions: Iterable[Question], now: Nanos) -> None:
        """Take questions in."""
        self._waiting.extend((now, question) for question in questions)

    @property
    def busy(self) -> bool:
        """Are there questions left for the next turn?"""
        accounts = self.servers.accounts
        return bool(self._waiting) or self._talks.busy or self._anteroom.busy or bool(accounts.closes)

    def answers(self, now: Nanos, at: datetime) -> list[Allow | Deny | Reply | Close]:
        """Some answers; `at` is the time of day that certificates are judged by, UTC."""
        given: list[Allow | Deny | Reply | Close] = [*self._anteroom.take_given(ANSWERS_PER_TURN)]
        given += self._anteroom.pass_on(self._talks.take_replies(ANSWERS_PER_TURN), now)
        given += self.servers.accounts.closes
        self.servers.accounts.closes.clear()
        while self._waiting and len(given) < ANSWERS_PER_TURN:
            asked, question = self._waiting.popleft()
            if now - asked < PATIENCE:
                answer = self._answer(question, now, at)
                if answer is not None:
                    given.append(answer)
        return given

    def take_inquiries(self) -> list[Inquiry]:
        """Whom operators' authorisers are to be asked about; asking is the shell's."""
        return self._anteroom.take_inquiries()

    def heard(self, ticket: Ticket, judgement: Judgement) -> None:
        """What an authoriser said; the answer goes with the next turn."""
        self._anteroom.heard(ticket, judgement)

    @property
    def servers(self) -> Relay:
        """What is asked of RADIUS servers; sockets are the shell's."""
        return self._talks.relay

    def _answer(self, question: Question, now: Nanos, at: datetime) -> Allow | Deny | Reply | None:
        match question:
            case Authorise():
                answer = self._judge(question, at)
                return self._anteroom.hold(question, answer, now) if isinstance(answer, Allow) else answer
            case EapAsked():
                self._anteroom.note(question, now)
                reply = self._talks.reply(question, now, at)
                return None if reply is None else next(iter(self._anteroom.pass_on([reply], now)), None)

    def _judge(self, question: Authorise, at: datetime) -> Allow | Deny:
        trust = self._trusts.get(question.connection)
        if trust is None and not question.certificates:
            # It has proved itself by a key that both know; the core asks because the connection has an authoriser.
            return Allow(question.sa, question.question, b"")
        if trust is None:
            return _deny(question, f"connection {question.connection} trusts no authority")
        name = PeerName(question.id_kind, question.id_data, question.peer_id)
        try:
            own = validate(trust, name, question.certificates, question.role, at, staples=question.staples)
            proven = tuple(dict.fromkeys(addresses_of(own)))[:MOST_ADDRESSES]
            return Allow(question.sa, question.question, key_info(own), proven)
        except Refused as refused:
            return _deny(question, str(refused))
        except Exception as fault:
            return _deny(question, f"the peer's certificate could not be judged ({type(fault).__name__})")


def _deny(question: Authorise, why: str) -> Deny:
    return Deny(question.sa, question.question, why)
