"""The core without sockets: all that goes in and out is in the caller's hands, and the same seed does the same."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from mobike import _core
from mobike.address import Endpoint, Generation, Nanos, Path, SaId, Token
from mobike.commands import Connect, Probe, SetLocalAddresses, SetProfile
from mobike.dataplane.operations import MoveSa
from mobike.events import ChildUp, IkeSaUp, SaMoved
from mobike.exchange import Exchange
from tests.boundary.ends import GATEWAY, PHONE, udp4

HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1")
BEHIND = IPv4Address("10.9.0.1")


def path(local: IPv4Address, remote: IPv4Address, port: int = 4500) -> Path:
    return Path(Endpoint(local, port), Endpoint(remote, port))


def exchange(ends: dict[IPv4Address, _core.SimCore], now: Nanos) -> list[tuple[str, bytes]]:
    """Carry datagrams between the ends until nothing wants to leave any more."""
    carried: list[tuple[str, bytes]] = []
    while any(batch := [each.take_transmits() for each in ends.values()]):
        for over, data, carries in (each for transmits in batch for each in transmits):
            carried.append((carries, data))
            ends[over.remote.ip].handle_datagram(now, Path(over.remote, over.local), data)  # type: ignore[index]
    return carried


def a_session(seed: int) -> tuple[_core.SimCore, _core.SimCore, list[tuple[str, bytes]]]:
    phone, gateway = (_core.SimCore(seed=bytes([seed, which] * 16)) for which in (1, 2))
    gateway.submit([SetProfile(GATEWAY), SetLocalAddresses((THERE,))], Nanos(0))
    phone.submit([SetProfile(PHONE), SetLocalAddresses((HERE,))], Nanos(0))
    phone.submit([Connect(Token(1), PHONE.name, (path(HERE, THERE, 500),), 4500)], Nanos(0))
    return phone, gateway, exchange({HERE: phone, THERE: gateway}, Nanos(1))


def test_a_session_comes_up_and_carries_packets_without_a_socket() -> None:
    phone, gateway, carried = a_session(1)
    up, child = phone.take_events(10)
    assert isinstance(up, IkeSaUp) and isinstance(child, ChildUp) and up.path == path(HERE, THERE)
    assert phone.plane_path(up.sa) == path(HERE, THERE) and phone.plane_path(SaId(99)) is None
    assert {carries for carries, _ in carried} == {"ike"}
    assert not phone.has_events() and gateway.has_events()
    packet = udp4(up.virtual_ips[0], BEHIND, b"through the tunnel")
    assert phone.inner_send(Nanos(2), [packet, udp4(HERE, THERE, b"no tunnel leads there")]) == 1
    assert [carries for carries, _ in exchange({HERE: phone, THERE: gateway}, Nanos(3))] == ["esp"]
    assert gateway.inner_take(10) == [packet]
    counters = phone.child_counters(child.child)
    assert counters is not None and counters["packets_out"] == 1
    assert phone.counters()["io_inner_out"] == 1


def test_each_event_is_told_with_the_exchange_that_it_came_of() -> None:
    phone, gateway, _ = a_session(1)
    for end, ours in ((phone, True), (gateway, False)):
        up, child = end.take_events(10)
        # IKE_AUTH, which the phone asked.
        assert end.told_by() == [(up, ours, 1), (child, ours, 1)]
        assert [event is told for event, (told, _, _) in zip((up, child), end.told_by(), strict=True)] == [True, True]
        assert end.take_events(10) == end.told_by() == []


def test_an_operation_moves_the_data_plane_and_is_answered() -> None:
    phone, _, _ = a_session(1)
    up = phone.take_events(10)[0]
    assert isinstance(up, IkeSaUp)
    elsewhere = path(IPv4Address("203.0.113.9"), THERE)
    phone.submit([MoveSa(up.sa, elsewhere, encap=True)], Nanos(5))
    assert phone.take_events(10) == [SaMoved(up.sa, elsewhere)]
    assert phone.told_by() == [], "that was an order"
    assert phone.plane_path(up.sa) == elsewhere


def test_the_same_seed_sends_the_same_octets_and_another_seed_others() -> None:
    first, again, other = (a_session(seed)[2] for seed in (7, 7, 8))
    assert first == again and first != other


def test_time_is_what_the_caller_says() -> None:
    phone = _core.SimCore(seed=bytes(32))
    phone.submit([SetProfile(PHONE)], Nanos(0))
    phone.submit([Connect(Token(1), PHONE.name, (path(HERE, THERE, 500),), 4500)], Nanos(0))
    first = phone.take_transmits()
    assert [carries for _, _, carries in first] == ["ike"] and phone.take_transmits() == []
    # Timers are coarse: one may come early, and then nothing is due yet.
    now = Nanos(0)
    while not (sent := phone.take_transmits()):
        now = phone.poll_timeout() or now
        phone.handle_timeout(now)
    assert sent == first and now > PHONE.retransmit.initial // 2


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(seed: bytes) -> None:
    with pytest.raises(ValueError, match="seed: not 32 bytes"):
        _core.SimCore(seed=seed)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [({"v4": 33}, "prefix_limits: v4 is beyond 32"), ({"v6": 129}, "v6 is beyond 128"), ({"zzz": 1}, "zzz is none")],
)
def test_limits_for_prefixes_that_make_no_sense_are_refused(limits: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        _core.SimCore(seed=bytes(32), prefix_limits=limits)


def test_what_the_ends_asked_each_other_is_told_by_both() -> None:
    phone, gateway, _ = a_session(3)
    up, theirs = phone.take_events(10)[0], gateway.take_events(10)[0]
    assert isinstance(up, IkeSaUp) and isinstance(theirs, IkeSaUp)
    assert phone.exchanges(SaId(99)) is None
    set_up = (
        Exchange(Nanos(0), Nanos(0), True, "IKE_SA_INIT", "init", 0, 1, 1, False, True, Nanos(0), None),
        Exchange(Nanos(1), Nanos(1), True, "IKE_AUTH", "auth", 1, 1, 1, False, True, Nanos(0), None),
    )
    assert phone.exchanges(up.sa) == set_up
    told = gateway.exchanges(theirs.sa) or ()
    assert [(each.ours, each.topic, each.took) for each in told] == [(False, "init", None), (False, "auth", None)]
    phone.submit([Probe(up.sa, None, Generation(0))], Nanos(5))
    waits = (phone.exchanges(up.sa) or ())[-1]
    assert (waits.ours, waits.answered, waits.at, waits.took) == (True, False, 5, None)
    exchange({HERE: phone, THERE: gateway}, Nanos(1_000_005))
    asked = Exchange(Nanos(5), Nanos(5), True, "INFORMATIONAL", "probe", 2, 1, 1, False, True, Nanos(1_000_000), None)
    at = Nanos(1_000_005)
    assert phone.exchanges(up.sa) == (*set_up, asked)
    answered = replace(asked, since=at, at=at, ours=False, topic="liveness", took=None)
    assert (gateway.exchanges(theirs.sa) or ())[2:] == (answered,)
