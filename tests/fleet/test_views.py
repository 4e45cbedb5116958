"""What may be seen of the fleet."""

import tracemalloc
from ipaddress import ip_address

import pytest

from mobike.address import ChildId, SaId
from mobike.commands import CloseChild, OpenChild, Reauth, Rekey, RekeyChild
from mobike.events import (
    AddressAdded,
    ChildDown,
    ChildFailed,
    IkeSaRekeyed,
    Nat,
    NatChanged,
    Notice,
    OperatorAvoid,
    OperatorCloseChild,
    OperatorMove,
    OperatorOpenChild,
    OperatorReauth,
    OperatorRekey,
    OperatorUnpin,
    Role,
)
from tests.fleet.host import SECOND, Host, child_up, gateway, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, ON_CELLULAR, ON_WIFI, WIFI

ONE = SaId(1)


def test_the_detail_shows_pairs_in_order_and_says_why_the_current_one_is_in_use() -> None:
    host = phone()
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.peer_id == "peer.example.net"
    assert detail.row.state == "established"
    assert detail.row.suite == "AES_GCM_16_256/PRF_SHA256/X25519"
    assert detail.why == ("192.0.2.7 (wlan0) -> 203.0.113.1 is the best of 2 usable pairs: verified, link rank 1")
    assert [(row.rank, row.pair, row.current, row.usable) for row in detail.pairs] == [
        (1, ON_WIFI, True, True),
        (2, ON_CELLULAR, False, True),
    ]
    assert detail.pairs[1].why == "untried, link rank 2"
    assert detail.pairs[1].score.startswith("reach=untried standing=plain pinned=no loss=little rank=2")
    assert [child.child for child in detail.children] == [100]
    assert detail.children[0].remote_ts == ("10.2.0.0/16",)
    assert detail.last_move is None


def test_a_move_under_way_is_shown_with_its_reason() -> None:
    host = phone()
    host.hears(OperatorMove(ONE, CELLULAR, None))
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.state == "updating"
    assert detail.why.startswith("Moving to 198.51.100.2 -> 203.0.113.1: the operator moved it: ")
    assert detail.last_move is not None
    assert detail.last_move.duration is None
    assert detail.last_move.to_path == path(CELLULAR)


def test_looking_decides_nothing() -> None:
    host = phone()
    before = host.fleet.poll_deadline()
    for _ in range(3):
        host.fleet.view(ONE)
        host.fleet.explain(ONE)
        host.fleet.page(None, 10)
        host.fleet.connections()
    assert host.fleet.poll_deadline() == before
    decided = host.hears()
    assert not decided.commands
    assert not decided.notes


def test_pages_visit_every_sa_once_even_while_others_come_and_go() -> None:
    host = gateway(clients=25)
    seen: list[SaId] = []
    after = None
    for size in (10, 10, 10):
        page = host.fleet.page(after, size)
        seen += [row.sa for row in page.items]
        after = page.after
        host.hears(up(1_000 + size + len(seen), connection="road", role=Role.RESPONDER))
        if after is None:
            break
    assert seen[:25] == [SaId(n + 1) for n in range(25)]
    assert host.fleet.page(None, 3).total == 25 + 3
    assert host.fleet.page(SaId(10_000), 3).items == ()


def test_a_page_of_one_connection_counts_only_its_own() -> None:
    host = gateway(clients=3)
    host.hears(up(50, connection="other", role=Role.RESPONDER))
    page = host.fleet.page(None, 10, "other")
    assert [row.sa for row in page.items] == [50]
    assert page.total == 1
    assert page.after is None


def test_an_sa_with_new_keys_is_shown_under_its_old_name() -> None:
    host = phone()
    before = host.fleet.view(ONE)
    host.hears(IkeSaRekeyed(ONE, 0xABCD, 0xEF01, "aes256gcm16-prfsha384-x25519", by_us=False))
    after = host.fleet.view(ONE)
    assert before is not None
    assert after is not None
    assert (after.row.spi_i, after.row.spi_r, after.row.suite) == (0xABCD, 0xEF01, "aes256gcm16-prfsha384-x25519")
    assert (after.row.since, after.row.peer_id, after.children) == (
        before.row.since,
        before.row.peer_id,
        before.children,
    )
    assert host.kinds().count("sa-rekeyed") == 1


def test_an_operator_gives_an_sa_or_its_children_new_keys() -> None:
    host = phone()
    decided = host.hears(OperatorRekey(ONE, children=False), OperatorRekey(ONE, children=True))
    assert decided.commands == [Rekey(ONE), RekeyChild(ChildId(100))]
    decided = host.hears(OperatorRekey(SaId(9), children=False))
    assert not decided.commands


def test_an_operator_has_an_sa_reauthenticated_by_its_initiator_alone() -> None:
    host = phone()
    assert host.hears(OperatorReauth(ONE)).commands == [Reauth(ONE)]
    assert not host.hears(OperatorReauth(SaId(9))).commands
    assert host.fleet.objection_to_reauth(ONE) is None


def test_an_operator_opens_and_closes_one_child() -> None:
    host = phone()
    assert host.fleet.objection_to_open(ONE, "nobody") == "office names no Child SA nobody; it names office"
    host.hears(child_up(child=7))
    decided = host.hears(OperatorOpenChild(ONE, "voice"), OperatorCloseChild(ONE, ChildId(7)))
    assert decided.commands == [OpenChild(ONE, "voice"), CloseChild(ChildId(7))]
    gone = host.hears(OperatorOpenChild(SaId(9), "voice"), OperatorCloseChild(ONE, ChildId(8)))
    assert not gone.commands
    assert host.fleet.objection_to_open(SaId(9), "office") == "There is no such SA"
    shown = host.fleet.view(ONE)
    assert shown is not None
    assert [child.name for child in shown.children] == ["office", "office"]


def test_a_child_that_is_refused_is_told() -> None:
    host = phone()
    host.hears(ChildFailed(ONE, "voice", "TS_UNACCEPTABLE"), ChildFailed(SaId(9), "voice", "TS_UNACCEPTABLE"))
    assert host.kinds().count("child-failed") == 1


def test_addresses_that_went_are_still_shown_as_gone() -> None:
    host = phone()
    host.leaves(WIFI, "wlan0")
    rows = {row.ip: (row.link, row.available) for row in host.fleet.addresses()}
    assert rows == {WIFI: ("wlan0", False), CELLULAR: ("wwan0", True)}


def test_the_fleet_remembers_only_so_many_addresses_that_went() -> None:
    host = Host(())
    first = ip_address("10.0.0.1")
    for n in range(400):
        host.joins(first + n, "eth0")
        host.leaves(first + n, "eth0")
    assert len(host.fleet.addresses()) == 256


@pytest.mark.parametrize(
    ("local", "remote", "objection"),
    [
        (CELLULAR, None, None),
        (None, OFFICE, None),
        (OFFICE + 9, None, "203.0.113.10 -> any address is no pair of this SA"),
        (WIFI, OFFICE + 9, "192.0.2.7 -> 203.0.113.10 is no pair of this SA"),
    ],
)
def test_an_order_is_judged_before_it_is_given(local: None, remote: None, objection: str | None) -> None:
    said = phone().fleet.objection_to_move(ONE, local, remote)
    assert said == objection if objection is None else (said or "").startswith(objection)


def test_orders_to_those_that_cannot_move_are_objected_to() -> None:
    fleet = gateway(1).fleet
    assert fleet.objection_to_move(ONE, CELLULAR, None) == (
        "Only the initiator of an IKE SA can move it (RFC 4555 section 3.5)"
    )
    assert fleet.objection_to_move(SaId(77), CELLULAR, None) == "There is no such SA"
    host = phone()
    host.leaves(CELLULAR, "wwan0")
    assert host.fleet.objection_to_move(ONE, CELLULAR, None) == "198.51.100.2 (wwan0) is gone"


def test_children_leave_the_view_when_they_are_gone() -> None:
    host = phone()
    host.hears(child_up(child=101), ChildDown(ONE, ChildId(100), "rekeyed"))
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert [child.child for child in detail.children] == [101]


def test_notes_are_sentences_with_the_name_of_the_sa() -> None:
    host = phone()
    host.hears(NatChanged(ONE, path(), Nat.WE_ARE_BEHIND), Notice("bad-cookie", "COOKIE2 of a bad length", ONE, path()))
    texts = [note.text for note in host.notes]
    assert "IKE SA with peer.example.net is up on 192.0.2.7:4500 -> 203.0.113.1:4500" in texts
    assert "Child SA office 0000000a/0000000b is up" in texts
    assert texts[-1] == "COOKIE2 of a bad length"
    assert host.kinds()[-1] == "notice-bad-cookie"
    assert all(note.connection == "office" for note in host.notes if note.sa == ONE)


def test_one_sa_takes_less_than_720_bytes_of_the_control_plane() -> None:
    host = gateway(0)
    count = 20_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(count):
            inner = ip_address(0x0A000000 + n)
            remote = ip_address(0x64400000 + n)
            host.fleet.handle(
                [
                    up(n + 1, connection="road", role=Role.RESPONDER, on=path(remote=remote), virtual_ips=(inner,)),
                    child_up(n + 1, 100_000 + n, name="road"),
                ],
                host.now,
            )
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < 720


def test_an_address_that_no_link_named_yet_is_no_reason_to_move() -> None:
    host = Host()
    host.hears(up(), AddressAdded(CELLULAR, "wwan0"))
    host.passes(SECOND)
    assert host.moves() == []
    assert host.lists() == [(CELLULAR,)]
    host.joins(WIFI, "wlan0")
    assert host.lists()[-1] == (WIFI, CELLULAR)


@pytest.mark.req("D3-3")
def test_what_would_happen_if_a_link_died_is_told_and_nothing_happens() -> None:
    host = phone()
    supposed = host.fleet.suppose(ONE, "wlan0")
    assert supposed is not None
    assert supposed.moves_to == ON_CELLULAR
    assert not supposed.stays
    now = host.fleet.suppose(ONE)
    assert now is not None
    assert (now.stays, now.moves_to) == (True, None)
    assert now.why.startswith("192.0.2.7 (wlan0) -> 203.0.113.1 is the best of 2 usable pairs")
    assert supposed.why.startswith("192.0.2.7 (wlan0) is gone; 198.51.100.2 (wwan0) is the only usable pair")
    assert [(row.pair, row.usable) for row in supposed.pairs] == [(ON_CELLULAR, True), (ON_WIFI, False)]
    assert host.fleet.suppose(ONE, str(CELLULAR)) == host.fleet.suppose(ONE, "wwan0")
    spare = host.fleet.suppose(ONE, "wwan0")
    assert spare is not None
    assert spare.moves_to is None
    assert host.fleet.suppose(SaId(9), "wlan0") is None
    assert not host.hears().commands
    # And it is what happens.
    host.leaves(WIFI, "wlan0")
    assert host.moves() == [(ONE, supposed.moves_to)]


@pytest.mark.req("D3-3")
def test_a_link_that_the_operator_avoids_is_left_and_used_only_where_nothing_else_is() -> None:
    host = phone()
    host.hears(OperatorAvoid("wlan0", avoid=True))
    assert host.moves() == [(ONE, ON_CELLULAR)]
    assert "the operator avoids wlan0" in host.notes[-1].text
    host.hears(host.answer(ONE))
    host.leaves(CELLULAR, "wwan0")
    assert host.moves()[-1] == (ONE, ON_WIFI)
    host.hears(host.answer(ONE))
    host.hears(OperatorAvoid("wlan0", avoid=False), OperatorAvoid("eth7", avoid=True))
    assert host.kinds()[-1] == "order-refused"
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert "avoided" not in detail.why


@pytest.mark.req("D3-3")
def test_a_pin_is_taken_back_and_policy_chooses_again() -> None:
    host = phone()
    host.hears(OperatorMove(ONE, CELLULAR, None))
    host.hears(host.answer(ONE))
    host.passes(SECOND)
    assert len(host.moves()) == 1
    host.hears(OperatorUnpin(ONE), OperatorUnpin(ONE))
    assert host.moves()[1:] == [(ONE, ON_WIFI)]
    assert host.kinds().count("unpinned") == 1
