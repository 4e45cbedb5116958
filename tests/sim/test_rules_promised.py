"""Rules ask for what is promised, and not for more: what the peer may do, no rule forbids."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from mobike.address import ChildId, Endpoint, Nanos, Path, Transport
from mobike.commands import ChildInstalled
from mobike.dataplane.operations import InstallChild
from mobike.events import Nat, OperatorRekey, PeerMoved
from mobike.fleet import Decided
from mobike.sim import scenario
from mobike.sim.host import Host
from mobike.sim.rules.base import CREATE_CHILD_SA, IKE_FOLLOWUP_KE, INFORMATIONAL, PATH_PROBE, Message, Packet
from mobike.sim.rules.carried import Carried
from mobike.sim.rules.orders import OlderUpdate
from mobike.sim.story import Story
from mobike.sim.world import MS, SECOND

from .mutants import SMALL, Tampered, tampered

# --- moves into streams ---

STREAMED = SMALL.replace('pool = ["10.7.0.0/16"]', 'pool = ["10.7.0.0/16"]\ntransport = "tcp"').replace(
    'virtual_ip = ["ipv4"]', 'virtual_ip = ["ipv4"]\ntransport = "tcp"'
)


def up_in_a_stream() -> tuple[Story, Host, Host]:
    """The phone, which is on wlan0, and the gateway."""
    told = Story(scenario.read("streamed", STREAMED), 1)
    told.begin()
    told.world.run_until(SECOND)
    phone, gateway = told.stage.hosts["phone"], told.stage.hosts["gateway"]
    (up,) = gateway.ups.values()
    assert (up.path.transport, up.path.remote.ip) == (Transport.TCP, ip_address("192.0.2.10"))
    return told, phone, gateway


def test_new_keys_that_are_asked_for_first_in_a_stream_may_put_a_gateway_there() -> None:
    # The phone asks for new keys while its stream ends; another one begins with that, and an update comes behind it.
    told, phone, gateway = up_in_a_stream()
    gateway.hand_over(in_order=True, after=MS)
    phone.order(OperatorRekey(next(iter(phone.ups)), children=True))
    told.world.run_until(2 * SECOND)
    assert gateway.core.counters()["ike_streams_adopted"] == 1
    assert told.rules.violations == []


HERE, ELSEWHERE = ip_address("192.0.2.10"), ip_address("203.0.113.20")


@pytest.mark.parametrize(
    ("exchange", "address", "transport", "may_move"),
    [
        (CREATE_CHILD_SA, HERE, Transport.TCP, True),
        (IKE_FOLLOWUP_KE, HERE, Transport.TCP, True),
        (CREATE_CHILD_SA, ELSEWHERE, Transport.TCP, False),
        (CREATE_CHILD_SA, HERE, Transport.UDP, False),
        (PATH_PROBE, HERE, Transport.TCP, False),
        (INFORMATIONAL, ELSEWHERE, Transport.TCP, True),
        (INFORMATIONAL, ELSEWHERE, Transport.UDP, True),
    ],
)
@pytest.mark.parametrize("response", [False, True], ids=["request", "answer"])
def test_what_is_no_update_puts_a_gateway_into_a_stream_from_the_same_address_and_nowhere_else(
    exchange: int, address: Any, transport: Transport, may_move: bool, response: bool
) -> None:
    told, _, gateway = up_in_a_stream()
    (up,) = gateway.ups.values()
    said: list[str] = []
    rule = OlderUpdate(told.rules.lives, lambda _, what: said.append(what))
    rule.booted(gateway)
    path = Path(up.path.local, Endpoint(address, 50_000), transport)
    rule.ike_received(gateway, path, Message(up.spi_i, up.spi_r, exchange, response, 7, 0, b"", 28))
    rule.told(gateway, PeerMoved(up.sa, path, Nat.NONE, verified=not response))
    assert bool(said) is not (may_move and not response)


def test_an_older_request_in_a_stream_does_not_win() -> None:
    told, _, gateway = up_in_a_stream()
    (up,) = gateway.ups.values()
    said: list[str] = []
    rule = OlderUpdate(told.rules.lives, lambda _, what: said.append(what))
    rule.booted(gateway)
    older, newer = (Path(up.path.local, Endpoint(HERE, port), Transport.TCP) for port in (50_000, 50_001))
    for path, number in ((older, 7), (newer, 8)):
        rule.ike_received(gateway, path, Message(up.spi_i, up.spi_r, CREATE_CHILD_SA, False, number, 0, b"", 28))
    rule.told(gateway, PeerMoved(up.sa, newer, Nat.NONE, verified=True))
    assert said == []
    rule.told(gateway, PeerMoved(up.sa, older, Nat.NONE, verified=True))
    assert len(said) == 1
    assert "request 7" in said[0]
    assert "request 8" in said[0]


# --- a plane that is late ---


def late_kernel(faults: str) -> str:
    return SMALL + '\n[hosts.gateway]\nplane = "kernel"\n' + faults


REFUSED_THEN_LATE = late_kernel(
    """
[[events]]
at = "0s"
do = "refuse"
to = "gateway"

[[events]]
at = "500ms"
do = "obey"
to = "gateway"

[[events]]
at = "501ms"
do = "delay"
to = "gateway"
by = "600ms"
"""
)


REPLACED_LATE = late_kernel(
    """
[[events]]
at = "500ms"
do = "delay"
to = "gateway"
by = "600ms"
"""
)


def test_one_that_the_gateway_asks_for_itself_is_used_before_its_late_plane_carries_it() -> None:
    # Its plane refused the first Child SA: a while later the gateway asks for another one. The phone has none but that,
    # and sends behind its answer.
    told = Story(scenario.read("refused", REFUSED_THEN_LATE), 1)
    received, early = told.rules.received, list[int]()

    def see(host: Host, path: Path, data: bytes) -> None:
        early.extend(spi for spi in host.plane.asked if data.startswith(spi.to_bytes(4, "big")))
        received(host, path, data)

    told.rules.received = see  # type: ignore[method-assign]
    assert told.run().violations == ()
    assert len(early) > 3


def test_new_keys_that_it_asks_for_itself_are_used_when_it_has_said_so() -> None:
    # The Delete of the old Child SA waits for the plane; a core that does not wait for it is seen.
    lasting = REPLACED_LATE.replace('pool = ["10.7.0.0/16"]', 'pool = ["10.7.0.0/16"]\nesp_lifetime = "1s"')
    assert lasting != REPLACED_LATE

    def tamper(core: Tampered) -> None:
        def answer(events: Sequence[Any]) -> Sequence[Any]:
            core.core.submit(
                [ChildInstalled(each.child) for each in events if isinstance(each, InstallChild)], Nanos(0)
            )
            return events

        core.events = answer

    assert tampered("phone", lambda _: None, lasting) == ()
    assert any(f": {Carried.name}: " in each for each in tampered("gateway", tamper, lasting))


@pytest.mark.parametrize(("pause", "is_early"), [(MS, True), (1_900 * MS, True), (2 * SECOND, False)])
def test_a_packet_from_long_before_was_of_another_child_sa_with_that_spi(pause: int, is_early: bool) -> None:
    told = Story(scenario.read("late", late_kernel("")), 1)
    told.begin()
    told.world.run_until(SECOND)
    gateway = told.stage.hosts["gateway"]
    (up,) = gateway.ups.values()
    said: list[str] = []
    rule = Carried(told.rules.lives, lambda _, what: said.append(what))
    rule.booted(gateway)
    rule.esp_received(gateway, up.path, Packet(0xB7000010, 1, bytes(8)))
    told.world.run_until(told.world.now + pause)
    gateway.plane.asked[0xB7000010] = ChildId(9)
    rule.turned(gateway, (), Decided([], [], [], []))
    assert bool(said) is is_early
