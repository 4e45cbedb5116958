"""What is only shown is folded into bytes, and comes back whole."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId
from mobike.events import ChildUp, IkeSaUp, Nat, Role
from mobike.handout import NOTHING, Handout
from mobike.mobility.folded import fold_child, fold_session, unfold_children, unfold_session, without_child

PATH = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500))
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
names = st.text(st.characters(codec="utf-8"), max_size=60)
selectors = st.lists(names, max_size=5).map(tuple)
children = st.builds(
    ChildUp,
    sa=st.just(SaId(1)),
    child=u64.map(ChildId),
    name=names,
    spi_in=u32,
    spi_out=u32,
    suite=names,
    local_ts=selectors,
    remote_ts=selectors,
    encap=st.booleans(),
    transport_mode=st.booleans(),
)


def up(peer_id: str, virtual_ips: tuple[str, ...], spi_i: int, spi_r: int, handout: Handout = NOTHING) -> IkeSaUp:
    ips = tuple(map(ip_address, virtual_ips))
    return IkeSaUp(
        SaId(1), None, "c", Role.RESPONDER, PATH, Nat.NONE, peer_id, True, (), ips, spi_i, spi_r, "s", (), handout
    )


handouts = st.builds(
    Handout,
    dns=st.lists(st.ip_addresses(), max_size=8).map(tuple),
    networks=st.lists(names, max_size=5).map(tuple),
    domains=st.lists(names, max_size=32).map(tuple),
)


@given(names, handouts)
def test_what_a_gateway_told_comes_back_as_it_was(peer_id: str, handout: Handout) -> None:
    facts = unfold_session(fold_session(up(peer_id, ("192.0.2.9",), 1, 2, handout), Nanos(0)))
    assert (facts.peer_id, facts.handout, facts.virtual_ips) == (peer_id, handout, (ip_address("192.0.2.9"),))


@given(names, st.lists(st.ip_addresses(), max_size=4), u64, u64, u64)
def test_a_session_comes_back_as_it_was(peer_id: str, ips: list[object], spi_i: int, spi_r: int, now: int) -> None:
    event = up(peer_id, tuple(map(str, ips)), spi_i, spi_r)
    facts = unfold_session(fold_session(event, Nanos(now)))
    assert (facts.peer_id, facts.virtual_ips, facts.spi_i, facts.spi_r, facts.since) == (
        peer_id,
        event.virtual_ips,
        spi_i,
        spi_r,
        now,
    )


@given(st.lists(children, max_size=5, unique_by=lambda each: each.child))
def test_children_come_back_as_they_were_and_leave_one_by_one(events: list[ChildUp]) -> None:
    folded = b"".join(map(fold_child, events))
    for event, facts in zip(events, unfold_children(folded), strict=True):
        assert facts.name == event.name
        assert (facts.child, facts.spi_in, facts.spi_out) == (event.child, event.spi_in, event.spi_out)
        assert (facts.suite, facts.local_ts, facts.remote_ts) == (event.suite, event.local_ts, event.remote_ts)
        assert (facts.encap, facts.transport_mode) == (event.encap, event.transport_mode)
    while events:
        gone = events.pop(len(events) // 2)
        folded = without_child(folded, gone.child)
        assert [each.child for each in unfold_children(folded)] == [each.child for each in events]
    assert folded == b""


def test_a_peer_that_names_itself_at_length_is_shown_in_part() -> None:
    facts = unfold_session(fold_session(up("ä" * 60_000, ("192.0.2.9",) * 300, 1, 2), Nanos(0)))
    assert facts.peer_id.startswith("ää")
    assert len(facts.peer_id.encode()) <= 258
    assert len(facts.virtual_ips) == 64
