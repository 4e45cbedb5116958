"""Accounts of peers whose IKE SAs go on in another process, and of those whose do not."""

from __future__ import annotations

import json

import pytest

from mobike.address import ChildId, Nanos, SaId
from mobike.auth.radius import Accounts, RadiusOrders, codec
from mobike.auth.radius.session import read_session, write_session
from mobike.commands import SECOND
from mobike.events import ChildDown, IkeSaDown
from tests.auth.test_accounting import (
    FIRST,
    INTERIM,
    OTHER,
    STOP,
    admitted,
    answer,
    at,
    begun,
    child_up,
    number,
    said,
    taken,
)
from tests.auth.test_radius import Dice

NOON = 1_700_000_000.0
"""Time of day when the first process began; its clock then stood at 0, that of the second at a thousand."""
LATER = Nanos(1000 * SECOND)
ORDERS = {"staff": RadiusOrders("gw.example.net", (OTHER, FIRST))}


def parked(accounts: Accounts, seconds: float) -> list[tuple[SaId, str]]:
    """What is written down when a process ends, so many seconds after it began."""
    return accounts.changed(at(seconds), NOON + seconds, everything=True)


def another(written: list[tuple[SaId, str]], *resumed: int, after: float) -> tuple[Accounts, list[SaId]]:
    """The next process, so many seconds after the first one began."""
    carried = {ChildId(7): {"packets_in": 5, "packets_out": 0, "bytes_in": 500, "bytes_out": 0}}
    accounts = Accounts(Dice(), carried.get)
    over = accounts.recall(written, {SaId(sa) for sa in resumed}, ORDERS, LATER, NOON + after)
    return accounts, over


def test_a_session_that_goes_on_is_told_of_under_its_name_and_with_all_that_it_used() -> None:
    first = begun(admitted(classes=(b"gold", b"\x00\xff")))
    name = said(taken(first)[0])[codec.ACCT_SESSION_ID]
    first.see([child_up(7), child_up(8), ChildDown(SaId(1), ChildId(8), "rekeyed", 2, 3, 2**32 + 5, 7)], at(50))
    second, over = another(parked(first, 61), 1, after=91)
    assert over == []
    assert taken(second) == [], "the server knows that it began"
    second.see([child_up(7)], LATER)
    second.see([ChildDown(SaId(1), ChildId(7), "gone", 5, 0, 500, 0), IkeSaDown(SaId(1), "no answer")], LATER)
    (stop,) = taken(second)
    assert (stop.ip, stop.port) == (FIRST.ip, 1813), "the server that let it in, not the one that is asked first"
    told = said(stop)
    assert (number(told, codec.ACCT_STATUS_TYPE), told[codec.ACCT_SESSION_ID]) == (STOP, name)
    assert (told[codec.CLASS], told[codec.USER_NAME]) == (b"\x00\xff", b"ann")
    assert number(told, codec.ACCT_SESSION_TIME) == 90, "it began in second 1, and lived on in between"
    assert (number(told, codec.ACCT_INPUT_OCTETS), number(told, codec.ACCT_INPUT_GIGAWORDS)) == (505, 1)
    assert (number(told, codec.ACCT_INPUT_PACKETS), number(told, codec.ACCT_OUTPUT_PACKETS)) == (7, 3)


def test_updates_and_the_end_of_its_time_come_in_the_next_process_too() -> None:
    first = begun(admitted(interim=60, timeout=100))
    second, _ = another(parked(first, 31), 1, after=31)
    second.see([child_up(7)], LATER)
    assert second.poll_deadline() == Nanos(LATER + 60 * SECOND)
    second.wake(Nanos(LATER + 60 * SECOND))
    (update,) = taken(second)
    told = said(update)
    assert (number(told, codec.ACCT_STATUS_TYPE), number(told, codec.ACCT_INPUT_OCTETS)) == (INTERIM, 500)
    second.heard(FIRST.ip, 1813, answer(update))
    assert second.poll_deadline() == Nanos(LATER + 70 * SECOND), "thirty of its hundred seconds were over"
    second.wake(Nanos(LATER + 70 * SECOND))
    assert [close.sa for close in second.closes] == [SaId(1)]


def test_a_session_whose_time_ended_between_two_processes_is_closed_at_once() -> None:
    second, _ = another(parked(begun(admitted(timeout=100)), 31), 1, after=500)
    second.wake(LATER)
    assert [close.sa for close in second.closes] == [SaId(1)]


def test_a_session_that_did_not_come_back_is_over_and_its_server_hears_why() -> None:
    first = begun(admitted())
    first.see([child_up(8), ChildDown(SaId(1), ChildId(8), "rekeyed", 2, 3, 20, 30)], at(50))
    second, over = another(parked(first, 61), after=91)
    assert over == [SaId(1)]
    second.wake(LATER)
    told = said(taken(second)[0])
    assert number(told, codec.ACCT_STATUS_TYPE) == STOP
    assert number(told, codec.ACCT_TERMINATE_CAUSE) == 11, "NAS Reboot"
    assert number(told, codec.ACCT_INPUT_OCTETS) == 20
    assert parked(second, 1) == []


def test_what_changed_is_written_once_and_again_if_it_could_not_be() -> None:
    accounts = begun(admitted())
    assert [sa for sa, _ in accounts.changed(at(1), NOON)] == [SaId(1)]
    assert accounts.changed(at(2), NOON) == []
    accounts.unwritten([SaId(1), SaId(2)])
    assert [sa for sa, _ in accounts.changed(at(3), NOON)] == [SaId(1)]
    accounts.see([child_up(8), ChildDown(SaId(1), ChildId(8), "rekeyed", 2, 3, 20, 30)], at(4))
    assert [sa for sa, _ in accounts.changed(at(4), NOON)] == [SaId(1)]
    accounts.see([IkeSaDown(SaId(1), "gone")], at(5))
    assert accounts.changed(at(5), NOON, everything=True) == []


def test_a_clock_that_was_set_back_makes_no_session_of_the_future() -> None:
    ((_, text),) = parked(begun(admitted()), 10)
    assert read_session(text, ORDERS, LATER, NOON - 5000).since == LATER


def test_a_server_that_is_not_asked_any_more_is_not_told_either() -> None:
    ((_, text),) = parked(begun(admitted()), 10)
    known = {"staff": RadiusOrders("gw.example.net", (OTHER,))}
    assert read_session(text, known, LATER, NOON).admitted.server == OTHER


@pytest.mark.parametrize(
    "change", [{"connection": "gone"}, {"server": []}, {"over": ["x"]}, {"over": [1, 2, 3, 4, 5]}, {"inner": ["x"]}]
)
def test_damaged_accounts_are_forgotten(change: dict[str, object]) -> None:
    ((sa, text),) = parked(begun(admitted()), 10)
    damaged = json.dumps(json.loads(text) | change)
    accounts, over = another([(sa, damaged), (SaId(9), "{"), (SaId(10), "[]")], 1, 9, 10, after=20)
    assert over == [SaId(1), SaId(9), SaId(10)]
    assert parked(accounts, 20) == []


def test_what_is_written_is_what_is_read() -> None:
    ((_, text),) = parked(begun(admitted(classes=(b"gold",), interim=600, timeout=900)), 10)
    assert write_session(read_session(text, ORDERS, LATER, NOON + 20), LATER, NOON + 20) == text
