"""Accounts of peers that RADIUS servers let in: what is told, when, to whom, and what if nobody answers."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address

import pytest

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId
from mobike.auth.radius import Accounts, Letter, RadiusOrders, Server, codec
from mobike.auth.radius.accounting import MOST_OPEN, MOST_WAITING, PATIENCE, ROUNDS, TRIES, TRY
from mobike.auth.radius.session import Admitted
from mobike.commands import SECOND, Close
from mobike.events import ChildDown, ChildUp, IkeSaDown, IkeSaUp, Nat, Role
from tests.auth.test_radius import Dice

KEY = b"a secret of tests"
FIRST = Server(ip_address("192.0.2.5"), 1812, KEY, 1813)
OTHER = Server(ip_address("192.0.2.6"), 1812, b"another secret", 1813)
MUTE = Server(ip_address("192.0.2.7"), 1812, KEY)
PATH = Path(Endpoint(ip_address("198.51.100.1"), 4500), Endpoint(ip_address("203.0.113.7"), 4500))
INNER = (ip_address("10.9.0.7"), ip_address("fd00:9::7"))
START, STOP, INTERIM = 1, 2, 3


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def up(sa: int = 1, role: Role = Role.RESPONDER) -> IkeSaUp:
    return IkeSaUp(SaId(sa), None, "staff", role, PATH, Nat.NONE, "ann", True, (), INNER, 1, 2, "suite")


def child_up(child: int) -> ChildUp:
    return ChildUp(SaId(1), ChildId(child), "staff", 1, 2, "suite", (), (), encap=True)


def admitted(
    *servers: Server, server: Server = FIRST, classes: tuple[bytes, ...] = (), interim: int = 0, timeout: int = 0
) -> Admitted:
    orders = RadiusOrders("gw.example.net", servers or (FIRST,))
    return Admitted(orders, server, "ann", classes, interim * SECOND, timeout * SECOND)


def at(seconds: float) -> Nanos:
    return Nanos(int(seconds * SECOND))


def taken(accounts: Accounts) -> list[Letter]:
    letters = [*accounts.letters]
    accounts.letters.clear()
    return letters


def said(letter: Letter) -> dict[int, bytes]:
    """The attributes; that its authenticator is right, too."""
    octets, secret = letter.octets, OTHER.secret if letter.ip == OTHER.ip else KEY
    assert octets[0] == codec.Code.ACCOUNTING_REQUEST
    assert int.from_bytes(octets[2:4], "big") == len(octets)
    assert octets[4:20] == _md5(octets[:4] + bytes(16) + octets[20:] + secret)
    found, place = {}, 20
    while place < len(octets):
        found[octets[place]] = octets[place + 2 : place + octets[place + 1]]
        place += octets[place + 1]
    return found


def number(attributes: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(attributes[kind], "big")


def answer(letter: Letter, secret: bytes = KEY) -> bytes:
    head = bytes([codec.Code.ACCOUNTING_RESPONSE, letter.octets[1], 0, 20])
    return head + _md5(head + letter.octets[4:20] + secret)


def begun(one: Admitted, accounts: Accounts | None = None) -> Accounts:
    accounts = Accounts(Dice()) if accounts is None else accounts
    accounts.expect(SaId(1), one, at(0))
    accounts.see([up()], at(1))
    return accounts


def test_a_server_hears_when_a_session_begins_and_what_it_was_in_the_end() -> None:
    accounts = begun(admitted(classes=(b"gold", b"\x00\xff")))
    (start,) = taken(accounts)
    assert (start.ip, start.port) == (FIRST.ip, 1813)
    told = said(start)
    assert number(told, codec.ACCT_STATUS_TYPE) == START
    assert (told[codec.USER_NAME], told[codec.NAS_IDENTIFIER]) == (b"ann", b"gw.example.net")
    assert told[codec.CALLING_STATION] == b"203.0.113.7"
    assert told[codec.FRAMED_IP_ADDRESS] == INNER[0].packed
    assert told[codec.FRAMED_IPV6_ADDRESS] == INNER[1].packed
    assert told[codec.CLASS] == b"\x00\xff", "the last one of them"
    assert accounts.heard(FIRST.ip, 1813, answer(start))
    assert accounts.poll_deadline() is None
    accounts.see([child_up(7), ChildDown(SaId(1), ChildId(7), "rekeyed", 3, 4, 2**32 + 5, 6)], at(50))
    accounts.see([child_up(8), ChildDown(SaId(1), ChildId(8), "gone", 1, 1, 10, 20)], at(100))
    accounts.see([IkeSaDown(SaId(1), "deleted by the peer")], at(101))
    (stop,) = taken(accounts)
    end = said(stop)
    assert number(end, codec.ACCT_STATUS_TYPE) == STOP
    assert end[codec.ACCT_SESSION_ID] == told[codec.ACCT_SESSION_ID]
    assert number(end, codec.ACCT_SESSION_TIME) == 100
    assert (number(end, codec.ACCT_INPUT_OCTETS), number(end, codec.ACCT_INPUT_GIGAWORDS)) == (15, 1)
    assert (number(end, codec.ACCT_OUTPUT_OCTETS), number(end, codec.ACCT_OUTPUT_GIGAWORDS)) == (26, 0)
    assert (number(end, codec.ACCT_INPUT_PACKETS), number(end, codec.ACCT_OUTPUT_PACKETS)) == (4, 5)
    assert number(end, codec.ACCT_TERMINATE_CAUSE) == 1
    assert accounts.heard(FIRST.ip, 1813, answer(stop))
    assert accounts.counters() == {"accounting_told": 2, "accounting_lost": 0, "accounting_waiting": 0}


def test_updates_come_as_the_server_wants_them_and_never_more_than_one_a_minute() -> None:
    carried = {ChildId(7): {"packets_in": 2, "packets_out": 1, "bytes_in": 200, "bytes_out": 100}}
    accounts = begun(admitted(interim=10), Accounts(Dice(), carried.get))
    accounts.see([child_up(7), child_up(9)], at(2))
    accounts.heard(FIRST.ip, 1813, answer(taken(accounts)[0]))
    assert accounts.poll_deadline() == at(61)
    accounts.wake(at(60))
    assert taken(accounts) == []
    accounts.see([ChildDown(SaId(1), ChildId(9), "closed", 1, 1, 1000, 1)], at(60))
    accounts.wake(at(61))
    (update,) = taken(accounts)
    told = said(update)
    assert number(told, codec.ACCT_STATUS_TYPE) == INTERIM
    assert (number(told, codec.ACCT_INPUT_OCTETS), number(told, codec.ACCT_OUTPUT_OCTETS)) == (1200, 101)
    accounts.heard(FIRST.ip, 1813, answer(update))
    assert accounts.poll_deadline() == at(121)


def test_a_session_that_has_no_time_left_is_closed_and_its_account_says_so() -> None:
    accounts = begun(admitted(timeout=90))
    accounts.heard(FIRST.ip, 1813, answer(taken(accounts)[0]))
    assert accounts.poll_deadline() == at(91)
    accounts.wake(at(91))
    (close,) = accounts.closes
    assert close == Close(SaId(1), close.why)
    assert accounts.poll_deadline() is None
    accounts.see([IkeSaDown(SaId(1), f"closed by us: {close.why}")], at(91))
    assert number(said(taken(accounts)[0]), codec.ACCT_TERMINATE_CAUSE) == 5


@pytest.mark.parametrize(("why", "cause"), [("no answer for 12 s", 2), ("closed by us: the operator", 10)])
def test_why_a_session_ended_is_said_as_radius_says_it(why: str, cause: int) -> None:
    accounts = begun(admitted())
    accounts.see([IkeSaDown(SaId(1), why)], at(2))
    assert number(said(taken(accounts)[-1]), codec.ACCT_TERMINATE_CAUSE) == cause


def test_a_record_goes_on_to_the_next_server_and_is_lost_in_the_end() -> None:
    accounts = begun(admitted(FIRST, OTHER, MUTE))
    seen, now = [], 1.0
    while accounts.poll_deadline() is not None:
        seen += taken(accounts)
        now += TRY / SECOND
        accounts.wake(at(now))
    assert [letter.ip for letter in seen] == ([FIRST.ip] * TRIES + [OTHER.ip] * TRIES) * ROUNDS
    delays = [number(said(letter), codec.ACCT_DELAY_TIME) for letter in seen]
    assert delays == [TRY // SECOND * n for n in range(len(seen))], "each says how long it waited"
    assert accounts.counters()["accounting_lost"] == 1


def test_only_the_server_that_was_asked_may_answer() -> None:
    accounts = begun(admitted())
    (start,) = taken(accounts)
    for wrong in (answer(start, b"guessed"), b"", b"\x05", answer(start)[:19], b"\x02" + answer(start)[1:]):
        accounts.heard(FIRST.ip, 1813, wrong)
    assert not accounts.heard(OTHER.ip, 1813, answer(start))
    assert accounts.counters()["accounting_waiting"] == 1
    accounts.heard(FIRST.ip, 1813, answer(start))
    assert accounts.counters()["accounting_waiting"] == 0


def test_who_was_not_let_in_by_a_server_that_wants_accounts_has_none() -> None:
    accounts = begun(admitted(MUTE, server=MUTE))
    accounts.see([up(2), IkeSaDown(SaId(2), "gone")], at(2))
    accounts.expect(SaId(3), admitted(), at(2))
    accounts.expect(SaId(4), admitted(), at(3 + PATIENCE / SECOND))
    accounts.see([up(3)], at(4 + PATIENCE / SECOND))
    assert taken(accounts) == [], "and who came up much later is somebody else"


def test_a_thousand_sessions_wait_for_their_turn_and_no_queue_grows_for_ever() -> None:
    accounts = Accounts(Dice())
    for sa in range(MOST_OPEN + MOST_WAITING + 10):
        accounts.expect(SaId(sa), admitted(), at(0))
        accounts.see([up(sa)], at(0))
    letters = taken(accounts)
    assert len({letter.octets[1] for letter in letters}) == len(letters) == MOST_OPEN
    assert accounts.counters() == {
        "accounting_told": 0,
        "accounting_lost": 10,
        "accounting_waiting": MOST_OPEN + MOST_WAITING,
    }
    accounts.heard(FIRST.ip, 1813, answer(letters[7]))
    accounts.wake(at(1))
    assert len(taken(accounts)) == 1
