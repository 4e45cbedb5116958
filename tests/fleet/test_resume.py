"""Sessions of an earlier process: what was known of them, whether they still stand well, and never all at once."""

import pytest

from mobike.address import Endpoint, Nanos, Path, SaId
from mobike.commands import Announce, Move
from mobike.events import AddressAdded, IkeSaDown, IkeSaResumed, OperatorMove, Role
from mobike.fleet.remembered import read_notes
from tests.fleet.host import GATEWAY, MS, SECOND, Host, child_up, gateway, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, WIFI

SA = SaId(1)


def notes(host: Host, sa: int = 1) -> bytes:
    ((_, written),) = host.fleet.remember([SaId(sa)], host.now)
    return written


def restarted(before: Host, *resumed: IkeSaResumed, links: tuple[tuple[object, str], ...]) -> Host:
    """Another process of the same host, with these addresses."""
    host = Host(before.connections)
    host.fleet.expect(len(resumed))
    host.hears(*(AddressAdded(ip, link) for ip, link in links))  # type: ignore[arg-type]
    host.hears(*resumed)
    return host


def again(host: Host, sa: int = 1, *, agreed: bool = True, **changes: object) -> IkeSaResumed:
    return IkeSaResumed(up(sa, **changes), agreed, True, notes(host, sa))  # type: ignore[arg-type]


@pytest.mark.req("M3.2-3")
def test_a_client_tells_the_gateway_where_it_is_and_connects_no_second_time() -> None:
    before = phone()
    host = restarted(before, again(before), links=((WIFI, "wlan0"), (CELLULAR, "wwan0")))
    host.passes(SECOND)
    assert not host.connects()
    assert host.moves() == [(SA, path().pair)]
    (move,) = [each for each in host.commands if isinstance(each, Move)]
    assert move.addresses is None, "the gateway has our list"
    host.hears(host.answer(SA))
    assert host.fleet.page(None, 9).items[0].state == "established"
    # Once it is down, it is wanted as ever.
    host.hears(IkeSaDown(SA, "deleted by the peer"))
    assert len(host.connects()) == 1


@pytest.mark.req("M3.2-3")
def test_until_all_were_told_nothing_is_connected() -> None:
    before = phone()
    host = Host(before.connections)
    host.fleet.expect(1)
    host.hears(AddressAdded(WIFI, "wlan0"))
    assert not host.connects()
    host.hears(again(before))
    assert not host.connects()


@pytest.mark.req("M3.2-3")
def test_a_client_whose_address_vanished_moves_to_another() -> None:
    before = phone()
    host = restarted(before, again(before), links=((CELLULAR, "wwan0"),))
    host.passes(SECOND)
    assert host.moves() == [(SA, path(CELLULAR).pair)]
    assert host.plane() == {SA: path(CELLULAR).pair}, "traffic follows at once: the old address is dead"


@pytest.mark.req("M3.2-3")
def test_a_client_without_any_address_waits_for_one() -> None:
    before = phone()
    host = restarted(before, again(before), links=())
    host.passes(SECOND)
    assert not host.moves()
    host.joins(CELLULAR, "wwan0")
    host.passes(SECOND)
    assert host.moves() == [(SA, path(CELLULAR).pair)]


@pytest.mark.req("M3.2-3")
def test_pin_generation_moves_and_age_are_remembered() -> None:
    before = phone()
    before.hears(OperatorMove(SA, CELLULAR, None))
    before.hears(before.answer(SA))
    before.passes(10 * SECOND)
    known = read_notes(notes(before))
    assert known.pin is not None
    assert (known.pin.local, known.path, known.moves) == (CELLULAR, path(CELLULAR), 1)
    resumed = again(before, on=path(CELLULAR))
    host = restarted(before, resumed, links=((WIFI, "wlan0"), (CELLULAR, "wwan0")))
    host.passes(5 * SECOND)
    assert {pair.local for _, pair in host.moves()} == {CELLULAR}, "the operator's wish still holds"
    (move, *_) = [each for each in host.commands if isinstance(each, Move)]
    assert move.generation > known.generation
    row = host.fleet.page(None, 9).items[0]
    assert row.moves == 1
    # A clock that began anew cannot show that it is older than the host.
    assert row.since == 0


@pytest.mark.req("M3.2-3")
def test_a_gateway_keeps_quiet_where_nothing_changed() -> None:
    before = gateway(3)
    resumed = [
        again(before, sa, connection="road", role=Role.RESPONDER, on=path(remote=OFFICE + sa - 1)) for sa in (1, 2, 3)
    ]
    host = restarted(before, *resumed, links=((WIFI, "eth0"), (CELLULAR, "eth1")))
    host.hears(child_up(1, 100))
    host.passes(SECOND)
    assert not host.announces()
    # Whether the data plane was told before the end is not known: it is told again.
    assert host.plane() == {sa: path(remote=OFFICE + sa - 1).pair for sa in (1, 2, 3)}
    assert len(host.fleet.page(None, 9).items) == 3


@pytest.mark.req("M3.2-3")
def test_another_gateway_speaks_up_from_its_own_address_in_turn() -> None:
    """A takeover: the same store on a host with another address. Thousands do not speak at once."""
    count = 400
    before = gateway(count)
    resumed = [
        again(before, sa, connection="road", role=Role.RESPONDER, on=path(remote=OFFICE + sa - 1))
        for sa in range(1, count + 1)
    ]
    elsewhere = CELLULAR + 7
    host = restarted(before, *resumed, links=((elsewhere, "eth0"),))
    begin = host.now
    host.passes(100 * MS)
    few = len(host.announces())
    assert 0 < few <= 3 * 40
    host.passes(SECOND)
    assert len(host.announces()) == count
    assert all(each.path == Path(Endpoint(elsewhere, 4500), each.path.remote) for each in host.announces() if each.path)
    assert all(each.addresses == (elsewhere,) for each in host.announces())
    assert {pair.local for pair in host.plane().values()} == {elsewhere}
    assert len(host.plane()) == count
    assert host.now - begin < 2 * SECOND
    assert all(isinstance(each, Announce) for each in host.announces())


@pytest.mark.req("M3.2-3")
def test_a_move_of_the_peer_that_nobody_heard_of_is_followed() -> None:
    before = gateway(1)
    moved = again(before, connection="road", role=Role.RESPONDER, on=path(remote=OFFICE + 9))
    host = restarted(before, moved, links=((WIFI, "eth0"), (CELLULAR, "eth1")))
    assert host.plane() == {SA: path(remote=OFFICE + 9).pair}


@pytest.mark.req("M3.2-3")
def test_one_that_is_not_proven_yet_is_not_followed() -> None:
    before = gateway(1)
    moved = again(before, agreed=False, connection="road", role=Role.RESPONDER, on=path(remote=OFFICE + 9))
    host = restarted(before, moved, links=((WIFI, "eth0"), (CELLULAR, "eth1")))
    host.passes(SECOND)
    assert host.plane() == {SA: path(remote=OFFICE).pair}
    assert host.fleet.page(None, 9).items[0].path == path(remote=OFFICE)


@pytest.mark.req("M3.2-3")
@pytest.mark.parametrize("octets", [b"", b"{}", b"null", b'{"path":1}', b"\xff", b'{"path":["a","b"],"pin":null}'])
def test_notes_that_cannot_be_read_are_as_none(octets: bytes) -> None:
    assert read_notes(octets).told is None
    host = Host((GATEWAY,))
    host.hears(AddressAdded(WIFI, "eth0"))
    host.passes(SECOND)
    resumed = up(connection="road", role=Role.RESPONDER)
    host.hears(IkeSaResumed(resumed, True, False, octets))
    host.passes(SECOND)
    assert [each.addresses for each in host.announces()] == [(WIFI,)], "whether the peer has our list, nobody knows"
    assert "sa-resumed" in host.kinds()
    assert host.fleet.page(None, 9).items[0].since <= Nanos(host.now)
