"""Rules that cannot fail are worth nothing: each is broken on purpose, and must say so."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, cast

import pytest

from mobike import _core
from mobike.address import Endpoint, Generation, Nanos, Path, SaId
from mobike.commands import ChildInstalled, Move, SetProfile
from mobike.dataplane.operations import InstallChild, MoveSa
from mobike.events import (
    ChildUp,
    Event,
    IkeSaDown,
    IkeSaResumed,
    IkeSaUp,
    Moved,
    Notice,
    PeerMoved,
)
from mobike.fleet import Decided, Note
from mobike.sim import scenario, story
from mobike.sim.host import Host
from mobike.sim.rules.base import INFORMATIONAL, read
from mobike.sim.rules.watch import ALL
from mobike.sim.rules.wire import MOST_TRIED
from mobike.sim.world import SECOND, TimeStandsStill, World

from .mutants import SMALL, Sent, Tampered, meddled, once, tampered

VICTIM = Endpoint(ip_address("203.0.113.66"), 4500)
PSK = b"correct horse battery staple"


def names(violations: tuple[str, ...]) -> set[str]:
    """The rules that spoke."""
    return {rule.name for rule in ALL for each in violations if f": {rule.name}: " in each}


def test_nobody_tampers_and_no_rule_speaks() -> None:
    assert tampered("phone", lambda _: None) == ()


# --- a data plane outside of the core ---

LATE_KERNEL = (
    SMALL
    + """
[hosts.gateway]
plane = "kernel"

[[events]]
at = "0s"
do = "delay"
to = "gateway"
by = "600ms"
"""
)


def test_a_core_that_waits_for_a_late_plane_breaks_no_rule() -> None:
    assert tampered("phone", lambda _: None, LATE_KERNEL) == ()


def test_a_core_that_does_not_wait_for_its_plane_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        def answer(events: Sequence[Any]) -> Sequence[Any]:
            asked = [ChildInstalled(each.child) for each in events if isinstance(each, InstallChild)]
            core.core.submit(asked, Nanos(0))
            return events

        core.events = answer

    assert "no packet before its Child SA is carried" in names(tampered("gateway", tamper, LATE_KERNEL))


# --- the wire ---


def asks(sent: Sent) -> bytes | None:
    """The octets of an INFORMATIONAL request."""
    message = read(sent[1], sent[0].local.port)
    return sent[1] if message and message.exchange == INFORMATIONAL and not message.response else None


def with_number(octets: bytes, ahead: int) -> bytes:
    """The same message under a later id (behind the marker of four octets and twenty of the header)."""
    number = int.from_bytes(octets[24:28], "big") + ahead
    return octets[:24] + number.to_bytes(4, "big") + octets[28:]


def test_a_repetition_with_another_octet_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.transmits = once(lambda sent: [sent, (sent[0], sent[1][:-1] + b"?", sent[2])] if asks(sent) else None)

    assert names(tampered("phone", tamper)) == {"same octets", "no IV serves twice"}


def test_a_request_beyond_the_window_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.transmits = once(lambda sent: [sent, (sent[0], with_number(sent[1], 1), sent[2])] if asks(sent) else None)

    assert "window" in names(tampered("phone", tamper))


def test_an_id_that_is_left_out_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.transmits = once(lambda sent: [(sent[0], with_number(sent[1], 2), sent[2])] if asks(sent) else None)

    assert "window" in names(tampered("phone", tamper))


def test_a_shared_secret_in_a_message_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.transmits = once(lambda sent: [(sent[0], sent[1][: -len(PSK)] + PSK, sent[2])] if asks(sent) else None)

    assert "no secret on the wire" in names(tampered("gateway", tamper))


# --- orders ---


def test_an_answer_to_an_order_that_was_never_given_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.events = once(
            lambda event: [replace(event, generation=Generation(7)), event] if isinstance(event, Moved) else None
        )

    assert names(tampered("phone", tamper)) == {"an answer fits its order"}


def test_a_stale_move_that_is_obeyed_is_seen() -> None:
    # The newest order is carried out, and then the one before under its number.
    def tamper(core: Tampered) -> None:
        moves: list[Move] = []

        def both(order: object) -> list[object] | None:
            if not isinstance(order, Move):
                return None
            moves.append(order)
            if len(moves) < 2:
                return None
            return [order, replace(moves[0], generation=order.generation)]

        core.orders = once(both)

    assert "no stale command" in names(tampered("phone", tamper))


def test_an_older_update_that_wins_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        seen: list[PeerMoved] = []

        def again(event: Event) -> list[Event] | None:
            if isinstance(event, PeerMoved):
                seen.append(event)
            return [event, seen[0]] if isinstance(event, PeerMoved) and event.path != seen[0].path else None

        core.events = once(again)

    assert "the newest update wins" in names(tampered("gateway", tamper))


def test_a_move_to_where_the_peer_never_was_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.events = once(
            lambda event: (
                [replace(event, path=Path(event.path.local, VICTIM))] if isinstance(event, PeerMoved) else None
            )
        )

    assert {"the newest update wins", "no traffic to an unproven address"} <= names(tampered("gateway", tamper))


# --- traffic ---


def first(host: Host) -> SaId:
    return next(iter(host.ups))


def test_traffic_to_a_victim_is_seen_though_no_event_tells_of_it() -> None:
    def meddle(hosts: dict[str, Host]) -> None:
        gateway = hosts["gateway"]
        path = gateway.core.plane_path(first(gateway))
        assert path is not None
        gateway.core.submit([MoveSa(first(gateway), Path(path.local, VICTIM), encap=True)], gateway.world.now)

    assert {"no traffic to an unproven address", "the data plane agrees"} <= names(meddled(SECOND, meddle))


@pytest.mark.parametrize("rule", ['allow_remote = ["192.0.2.0/24"]', 'families = ["ipv6"]'])
def test_traffic_to_an_address_that_policy_forbids_is_seen(rule: str) -> None:
    # The gateway's core is told of no limits, though the configuration has some.
    def tamper(core: Tampered) -> None:
        core.orders = lambda orders: [
            SetProfile(replace(each.profile, allow_remote=(), families=(4, 6)))
            if isinstance(each, SetProfile)
            else each
            for each in orders
        ]

    text = SMALL.replace('pool = ["10.7.0.0/16"]', f'pool = ["10.7.0.0/16"]\n{rule}')
    assert text != SMALL
    assert "no traffic that policy forbids" in names(tampered("gateway", tamper, text))


@pytest.mark.parametrize("host", ["phone", "gateway"])
def test_a_data_plane_that_stays_behind_is_seen(host: str) -> None:
    def tamper(core: Tampered) -> None:
        core.orders = lambda orders: [each for each in orders if not isinstance(each, MoveSa)]

    assert "the data plane agrees" in names(tampered(host, tamper))


# --- what is told ---


def test_an_event_of_an_sa_that_is_not_up_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.events = once(lambda event: [event, IkeSaDown(SaId(99), "?")] if isinstance(event, IkeSaUp) else None)

    assert "events make sense" in names(tampered("gateway", tamper))


@pytest.mark.parametrize("kind", [ChildUp, IkeSaUp])
def test_an_event_that_is_lost_is_seen(kind: type[Event]) -> None:
    def tamper(core: Tampered) -> None:
        core.events = once(lambda event: [] if isinstance(event, kind) else None)

    assert "no event is lost" in names(tampered("gateway", tamper))


def test_a_secret_in_an_event_is_seen() -> None:
    said = Notice("odd", f"the peer said {PSK.decode()}", None, None)

    def tamper(core: Tampered) -> None:
        core.events = once(lambda event: [event, said] if isinstance(event, IkeSaUp) else None)

    assert names(tampered("phone", tamper)) == {"no secret and no ERROR in the log"}


def test_an_error_in_the_log_is_seen() -> None:
    def meddle(hosts: dict[str, Host]) -> None:
        fleet = hosts["phone"].fleet
        real = fleet.handle

        def loud(events: list[Event], now: int) -> Decided:
            decided = real(events, now)  # type: ignore[arg-type]
            return replace(decided, notes=[*decided.notes, Note("internal-error", "A fault of ours")])

        fleet.handle = loud  # type: ignore[method-assign, assignment]

    assert names(meddled(SECOND, meddle)) == {"no secret and no ERROR in the log"}


# --- another process ---

HANDED_OVER = (
    SMALL
    + """
[[events]]
at = "5s"
do = "hand-over"
to = "gateway"
by = "20ms"
"""
)
KILLED = (
    SMALL
    + """
[[events]]
at = "4900ms"
do = "store"
to = "phone"

[[events]]
at = "5s"
do = "kill"
to = "phone"
by = "20ms"
"""
)


@pytest.mark.parametrize("text", [HANDED_OVER, KILLED], ids=["handed over", "killed"])
@pytest.mark.parametrize("host", ["phone", "gateway"])
def test_another_process_goes_on_and_no_rule_speaks(text: str, host: str) -> None:
    assert tampered("phone", lambda _: None, text.replace('to = "gateway"', f'to = "{host}"')) == ()


def test_a_parked_sa_that_does_not_go_on_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.resumes = lambda records: ()

    assert "a parked SA goes on" in names(tampered("gateway", tamper, HANDED_OVER))


def test_an_sa_that_goes_on_under_another_name_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.events = once(
            lambda event: (
                [replace(event, up=replace(event.up, spi_i=event.up.spi_i + 1))]
                if isinstance(event, IkeSaResumed)
                else None
            )
        )

    assert "a parked SA goes on" in names(tampered("gateway", tamper, HANDED_OVER))


@pytest.mark.parametrize(("carries", "at"), [("ike", 36), ("esp", 8)])
def test_an_iv_that_serves_twice_is_seen(carries: str, at: int) -> None:
    # On port 4500 the marker of four octets stands before IKE.
    def tamper(core: Tampered) -> None:
        first: list[bytes] = []

        def same_iv(sent: Sent) -> list[Sent] | None:
            if sent[2] != carries or (carries == "ike" and asks(sent) is None):
                return None
            first.append(sent[1][at : at + 8])
            return None if len(first) < 2 else [(sent[0], sent[1][:at] + first[0] + sent[1][at + 8 :], sent[2])]

        core.transmits = once(same_iv)

    assert "no IV serves twice" in names(tampered("phone", tamper))


def test_numbers_of_esp_that_begin_anew_after_a_kill_are_seen() -> None:
    seen: list[bytes] = []

    def tamper(core: Tampered) -> None:
        lives.append(core)

        def from_one(sent: Sent) -> list[Sent] | None:
            if sent[2] != "esp":
                return None
            seen.append(sent[1][:4])
            return [(sent[0], sent[1][:4] + bytes((0, 0, 0, 1)) + sent[1][8:], sent[2])] if len(lives) > 1 else None

        core.transmits = once(from_one)

    lives: list[Tampered] = []
    assert "no IV serves twice" in names(tampered("phone", tamper, KILLED))


def test_a_packet_that_is_delivered_twice_is_seen() -> None:
    def meddle(hosts: dict[str, Host]) -> None:
        core = hosts["gateway"].core
        real, again = core.inner_take, list[bytes]()

        def twice(limit: int) -> list[bytes]:
            packets = [*real(limit), *again]
            again.extend(packets[:1] if not again else ())
            return packets

        hosts["gateway"].core = type("Twice", (), {"__getattr__": lambda _, name: getattr(core, name)})()
        hosts["gateway"].core.inner_take = twice  # type: ignore[method-assign]

    assert names(meddled(SECOND, meddle)) == {"a packet is delivered once"}


def test_other_octets_under_an_id_that_was_written_down_are_seen_after_a_kill() -> None:
    def tamper(core: Tampered) -> None:
        lives.append(core)

        def other(sent: Sent) -> list[Sent] | None:
            if len(lives) < 2 or not asks(sent):
                return None
            return [sent, (sent[0], sent[1][:-1] + b"?", sent[2])]

        core.transmits = once(other)

    lives: list[Tampered] = []
    assert "same octets" in names(tampered("phone", tamper, KILLED))


def test_too_many_requests_at_once_after_a_kill_are_seen() -> None:
    def tamper(core: Tampered) -> None:
        lives.append(core)
        core.transmits = once(
            lambda sent: (
                [sent, (sent[0], with_number(sent[1], MOST_TRIED + 8), sent[2])]
                if len(lives) > 1 and asks(sent)
                else None
            )
        )

    lives: list[Tampered] = []
    assert "window" in names(tampered("phone", tamper, KILLED))


# --- in the end ---


def test_an_sa_that_stays_where_nothing_works_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        core.orders = lambda orders: [each for each in orders if not isinstance(each, Move)]

    text = SMALL[: SMALL.rindex("[[events]]")]
    assert any("not settled" in each for each in tampered("phone", tamper, text))


def test_two_parts_that_keep_each_other_busy_for_ever_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobike.sim.world.MOST_STEPS_AT_ONCE", 1_000)
    world = World(1)

    def again() -> None:
        world.after(0, again)

    world.after(1, again)
    with pytest.raises(TimeStandsStill):
        world.run_until(SECOND)


def test_each_rule_has_a_name_of_its_own_and_says_who_and_when() -> None:
    assert len({rule.name for rule in ALL}) == len(ALL)
    said = tampered(
        "phone", lambda core: setattr(core, "orders", lambda orders: [o for o in orders if not isinstance(o, MoveSa)])
    )
    assert said and said[0].split(" s, ")[1].startswith("phone: ")


def test_the_same_seed_breaks_the_same_rule_at_the_same_moment() -> None:
    scene = scenario.read("small", SMALL)
    assert story.run(scene, 3) == story.run(scene, 3)


# --- news ---


class Credulous(Tampered):
    """It believes what anybody says."""

    def handle_unreachable(self, now: Nanos, over: Path, quoted: bytes) -> None:
        self.core.handle_unreachable(now, over, quoted)
        sa = next(iter(self.host.ups))
        self.core.submit([MoveSa(sa, Path(over.local, VICTIM), encap=True)], now)

    host: Host


@pytest.mark.req("M3.5-1")
def test_a_core_that_moves_because_a_router_says_so_is_seen() -> None:
    def meddle(hosts: dict[str, Host]) -> None:
        phone = hosts["phone"]
        core = Credulous(phone.core)
        core.host = phone
        phone.core = cast(_core.SimCore, core)
        path, data = phone.sent[-1]
        phone.unreachable(path.local, path.remote, data)

    assert "ICMP moves nothing" in names(meddled(SECOND, meddle))
