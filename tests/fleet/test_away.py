"""Being away by order, and orders that overtake each other."""

from mobike.address import SaId
from mobike.commands import Away, Move
from mobike.events import AwayRefused, OperatorAway, OperatorBack, WentAway
from tests.fleet.host import MS, SECOND, Host, phone

ONE = SaId(1)
HOUR = 3600 * SECOND


def state(host: Host) -> str:
    row = host.fleet.row(ONE)
    return "" if row is None else row.state


def connection(host: Host) -> str:
    row = host.fleet.row(ONE)
    return "" if row is None else row.connection


def test_who_is_called_back_before_the_peer_gave_leave_comes_back_when_it_has() -> None:
    host = phone()
    name = connection(host)
    assert [type(each) for each in host.hears(OperatorAway(name, HOUR)).commands] == [Away]
    assert not host.hears(OperatorBack(name), after=5 * MS).commands
    back = host.hears(WentAway(ONE, HOUR), after=5 * MS)
    assert [type(each) for each in back.commands] == [Move]
    assert state(host) == "updating"


def test_the_last_order_counts_and_a_refusal_ends_the_matter() -> None:
    host = phone()
    name = connection(host)
    host.hears(OperatorAway(name, HOUR), OperatorBack(name), OperatorAway(name, HOUR))
    assert not [each for each in host.hears(WentAway(ONE, HOUR)).commands if isinstance(each, Move)]
    assert state(host) == "away"
    other = phone()
    other.hears(OperatorAway(name, HOUR), OperatorBack(name))
    assert not other.hears(AwayRefused(ONE, "not now")).commands
    assert not [each for each in other.hears(WentAway(ONE, HOUR)).commands if isinstance(each, Move)]
