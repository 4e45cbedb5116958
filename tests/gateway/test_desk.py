"""What the API is told by the real fleet: explanations, orders that hold, links that are avoided."""

import pytest

from mobike.address import SaId
from mobike.events import IkeSaRekeyed, OperatorAvoid, OperatorMove, OperatorProbe, OperatorUnpin
from mobike.facade import NotFound, Refused
from tests.fleet.host import SECOND, phone
from tests.gateway.office import Office
from tests.policy.words import CELLULAR

SA = f"{1:016x}"
ONE = SaId(1)


def test_an_explanation_is_what_policy_says_now_or_would_say() -> None:
    desk = Office().desk
    now = desk.explain(SA)
    assert (now.without, now.decision, now.local, now.remote) == (None, "stay", "192.0.2.7", "203.0.113.1")
    assert now.why == "192.0.2.7 (wlan0) -> 203.0.113.1 is the best of 2 usable pairs: verified, link rank 1"
    then = desk.explain(SA, without="wlan0")
    assert (then.decision, then.local) == ("move", "198.51.100.2")
    assert then.why.startswith("192.0.2.7 (wlan0) is gone; ")
    assert [(pair.local, pair.usable) for pair in then.pairs] == [("198.51.100.2", True), ("192.0.2.7", False)]
    assert desk.explain(SA, without="198.51.100.2").decision == "stay"
    with pytest.raises(Refused, match="no link and no address of ours"):
        desk.explain(SA, without="eth9")
    with pytest.raises(NotFound):
        desk.explain(f"{9:016x}")


def test_an_sa_that_would_have_nothing_left_would_wait() -> None:
    office = Office(phone(links=False))
    told = office.desk.explain(SA, without="wlan0")
    assert (told.decision, told.local, told.remote) == ("wait", None, None)
    office.host.leaves(office.host.fleet.addresses()[0].ip, "wlan0")
    now = office.desk.explain(SA)
    assert now.decision == "wait"
    assert "is gone" in now.why


def test_an_order_to_move_holds_until_it_is_taken_back() -> None:
    office = Office()
    with pytest.raises(Refused, match="No order to move holds"):
        office.desk.unpin(SA)
    office.desk.move(SA, local=str(CELLULAR), remote=None)
    assert isinstance(office.orders[-1], OperatorMove)
    assert office.desk.ike_sa(SA).pin == "198.51.100.2 -> any address"
    office.host.hears(office.host.answer(office.orders[-1].sa))
    office.desk.unpin(SA)
    assert isinstance(office.orders[-1], OperatorUnpin)
    assert office.desk.ike_sa(SA).pin is None
    assert [str(pair.local) for _, pair in office.host.moves()] == ["198.51.100.2", "192.0.2.7"]
    with pytest.raises(NotFound):
        office.desk.unpin("9")


def test_an_sa_is_kept_where_it_is_until_that_is_taken_back() -> None:
    office = Office()
    office.desk.pin(SA)
    assert office.desk.ike_sa(SA).pin == "192.0.2.7 -> 203.0.113.1"
    assert office.host.moves() == []
    office.desk.unpin(SA)
    assert office.desk.ike_sa(SA).pin is None
    with pytest.raises(NotFound):
        office.desk.pin("9")


def test_a_peer_is_asked_for_a_sign_of_life() -> None:
    office = Office()
    office.desk.probe(SA)
    assert isinstance(office.orders[-1], OperatorProbe)
    with pytest.raises(NotFound):
        office.desk.probe("9")


def test_the_id_of_an_sa_survives_new_keys() -> None:
    office = Office()
    before = office.desk.ike_sa(SA).sa
    office.host.hears(IkeSaRekeyed(ONE, 0xABCD, 0xEF01, "aes256gcm16-prfsha384-x25519", by_us=False))
    after = office.desk.ike_sa(SA).sa
    assert (after.id, after.since, after.moves) == (before.id, before.since, before.moves)
    assert (after.spi_i, after.spi_r) == (f"{0xABCD:016x}", f"{0xEF01:016x}") != (before.spi_i, before.spi_r)
    assert [each.id for each in office.desk.list_ike_sas().items] == [before.id]


def test_child_sas_are_rows_of_a_list() -> None:
    desk = Office(phone()).desk
    page = desk.list_child_sas()
    (child,) = page.items
    assert (child.id, child.ike_sa, child.connection, child.name) == (f"{100:016x}", SA, "office", "office")
    assert (child.spi_in, child.spi_out, child.local_ts, child.encap) == (
        "0000000a",
        "0000000b",
        ("10.1.0.0/16",),
        False,
    )
    assert page.after is None
    assert desk.list_child_sas(connection="lab").items == ()
    assert desk.list_child_sas(after=SA).items == ()
    with pytest.raises(Refused, match="no cursor"):
        desk.list_child_sas(after="x")
    with pytest.raises(Refused, match="limit is 0"):
        desk.list_child_sas(limit=0)


def test_paths_are_what_was_found_out_of_pairs_the_latest_first() -> None:
    office = Office()
    office.desk.move(SA, local=str(CELLULAR), remote=None)
    office.host.hears(office.host.answer(office.orders[-1].sa))  # type: ignore[union-attr]
    cellular, wifi = office.desk.list_paths()
    assert (cellular.local, cellular.remote, cellular.link, cellular.state) == (
        "198.51.100.2", "203.0.113.1", "wwan0", "verified",
    )  # fmt: skip
    assert (wifi.local, wifi.link, wifi.nat, wifi.rtt_ms) == ("192.0.2.7", "wlan0", "none", None)
    assert office.desk.list_paths(limit=1) == (cellular,)
    with pytest.raises(Refused, match="limit is 1001"):
        office.desk.list_paths(limit=1001)


def test_what_has_not_changed_looks_the_same() -> None:
    desk = Office().desk
    assert desk.list_ike_sas() == desk.list_ike_sas()


def test_a_link_is_avoided_until_that_is_lifted() -> None:
    office = Office()
    for link, avoid, why in (("eth9", True, "There is no link eth9"), ("wlan0", False, "not avoided")):
        with pytest.raises(Refused, match=why):
            office.desk.avoid(link, avoid=avoid)
    office.desk.avoid("wlan0", avoid=True)
    assert office.orders == [OperatorAvoid("wlan0", True)]
    assert {each.link: each.standing for each in office.desk.addresses()} == {"wlan0": "avoided", "wwan0": "preferred"}
    with pytest.raises(Refused, match="avoided already"):
        office.desk.avoid("wlan0", avoid=True)
    office.desk.avoid("wlan0", avoid=False)
    office.host.passes(SECOND)
    assert office.desk.explain(SA).decision == "stay"
    assert {each.standing for each in office.desk.addresses()} == {"preferred"}
