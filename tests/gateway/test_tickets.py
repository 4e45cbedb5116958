"""The keys of tickets: given at start, changed in time, and the operator's left alone."""

from collections.abc import Sequence

from mobike.commands import SetTicketKeys
from mobike.gateway.tickets import TicketKeys

HOUR = 3600 * 1_000_000_000


class Core:
    def __init__(self) -> None:
        self.given: list[SetTicketKeys] = []

    def submit(self, orders: Sequence[SetTicketKeys], /) -> None:
        self.given += orders


async def test_our_own_keys_are_changed_and_the_one_before_still_opens() -> None:
    core = Core()
    keys = TicketKeys(core, (), HOUR)
    keys.start()
    (first,) = core.given
    (own,) = first.keys
    keys.change(lambda size: b"n" * size)
    keys.change(lambda size: b"m" * size)
    keys.close()
    assert [each.keys for each in core.given[1:]] == [(b"n" * 32, own), (b"m" * 32, b"n" * 32)]
    assert core.given[-1].clock >= first.clock > 1_600_000_000 * 10**9
    assert repr(own) not in repr(first)


async def test_the_operators_keys_stay_and_the_time_of_day_is_told_again() -> None:
    core = Core()
    keys = TicketKeys(core, (b"a" * 32, b"b" * 32), HOUR)
    keys.start()
    keys.change()
    keys.close()
    assert [each.keys for each in core.given] == [(b"a" * 32, b"b" * 32)] * 2


async def test_where_nobody_gives_tickets_there_are_no_keys() -> None:
    core = Core()
    keys = TicketKeys(core, (b"a" * 32,), 0)
    keys.start()
    keys.close()
    assert core.given == []
