"""The keys of tickets: given at start, changed in time, kept sealed over a restart, and the operator's left alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mobike.commands import SetTicketKeys
from mobike.gateway.tickets import NAME, TicketKeys
from mobike.store import Store

HOUR_S = 3600.0
HOUR = 3600 * 1_000_000_000
STORE_KEY = b"s" * 32


class Core:
    def __init__(self) -> None:
        self.given: list[SetTicketKeys] = []

    def submit(self, orders: Sequence[SetTicketKeys], /) -> None:
        self.given += orders

    @property
    def keys(self) -> tuple[bytes, ...]:
        return self.given[-1].keys


class House:
    """A process with a clock that stands still and chance that can be told apart."""

    def __init__(self, now: float = 1_700_000_000.0, *, first: int = 1, keys: tuple[bytes, ...] = ()) -> None:
        self.core, self.now, self._next = Core(), now, first
        self.tickets = TicketKeys(self.core, keys, HOUR, clock=lambda: self.now, chance=self._chance)

    def _chance(self, size: int) -> bytes:
        self._next += 1
        return bytes([self._next - 1]) * size

    def after(self, hours: float) -> None:
        self.now += hours * HOUR_S
        self.tickets.change()


def key(number: int) -> bytes:
    return bytes([number]) * 32


def test_our_own_keys_are_changed_when_tickets_end_and_the_one_before_still_opens() -> None:
    house = House()
    house.tickets.change()
    assert house.core.keys == (key(1),)
    house.after(0.5)
    assert house.core.keys == (key(1),), "not yet"
    house.after(0.5)
    assert house.core.keys == (key(2), key(1))
    house.after(1)
    assert house.core.keys == (key(3), key(2)), "no ticket of the first is good any more"
    assert [each.clock for each in house.core.given] == [(1_700_000_000 + at) * 10**9 for at in (0, 1800, 3600, 7200)]
    assert repr(key(3)) not in repr(house.core.given[-1])


def test_our_own_keys_go_on_after_a_restart_for_as_long_as_their_tickets(tmp_path: Path) -> None:
    house = House()
    house.tickets.change()
    house.after(1)
    store = Store(tmp_path / "sas.db")
    piece = house.tickets.changed(STORE_KEY)
    assert piece is not None
    store.keep(NAME, piece)
    assert house.tickets.changed(STORE_KEY) is None, "nothing has changed since"
    store.close()
    file = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert key(1) not in file
    assert key(2) not in file, "sealed"
    kept = Store(tmp_path / "sas.db").kept(NAME)
    for hours, expected in [(0.5, (2, 1)), (1.5, (9, 2)), (2.5, (9,))]:
        next_one = House(house.now + hours * HOUR_S, first=9)
        next_one.tickets.recall(STORE_KEY, kept)
        next_one.tickets.change()
        assert next_one.core.keys == tuple(key(each) for each in expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda piece: None,
        lambda piece: b"",
        lambda piece: piece[:11],
        lambda piece: piece[:-1],
        lambda piece: piece[:20] + bytes([piece[20] ^ 1]) + piece[21:],
    ],
)
def test_what_was_kept_and_cannot_be_opened_is_as_nothing(spoil: Callable[[bytes], bytes | None]) -> None:
    house = House()
    house.tickets.change()
    piece = house.tickets.changed(STORE_KEY)
    assert piece is not None
    for store_key, kept in [(STORE_KEY, spoil(piece)), (b"o" * 32, piece)]:
        next_one = House(house.now, first=9)
        next_one.tickets.recall(store_key, kept)
        next_one.tickets.change()
        assert next_one.core.keys == (key(9),)


def test_keys_that_could_not_be_written_are_tried_again() -> None:
    house = House()
    house.tickets.change()
    assert house.tickets.changed(STORE_KEY) is not None
    house.tickets.unwritten()
    assert house.tickets.changed(STORE_KEY) is not None


async def test_the_operators_keys_stay_and_the_time_of_day_is_told_again() -> None:
    house = House(keys=(b"a" * 32, b"b" * 32))
    house.tickets.start()
    house.after(5)
    house.tickets.close()
    assert [each.keys for each in house.core.given] == [(b"a" * 32, b"b" * 32)] * 2
    assert house.tickets.changed(STORE_KEY) is None, "they are nobody's to keep"


async def test_where_nobody_gives_tickets_there_are_no_keys() -> None:
    core = Core()
    keys = TicketKeys(core, (b"a" * 32,), 0)
    keys.start()
    keys.close()
    assert core.given == []


async def test_tickets_that_are_wanted_later_have_keys_from_then_on_and_none_when_they_are_not() -> None:
    house = House()
    house.tickets.obey((), 0)
    assert house.core.keys == (), "nobody wants them any more"
    house.tickets.obey((), HOUR)
    assert house.core.keys == (key(1),)
    house.tickets.obey((), HOUR)
    assert len(house.core.given) == 2, "the same as before is no news"
    house.now += HOUR_S / 2
    house.tickets.obey((), HOUR // 4)
    assert house.core.keys == (key(2),), "good for less time: the key before is too old"
    house.tickets.close()


async def test_the_operators_keys_can_come_change_and_go() -> None:
    house = House()
    for keys in [(b"a" * 32,), (b"b" * 32, b"a" * 32)]:
        house.tickets.obey(keys, HOUR)
        assert house.core.keys == keys
    house.tickets.obey((), HOUR)
    assert house.core.keys == (key(1),)
    house.tickets.close()
