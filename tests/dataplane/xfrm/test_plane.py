"""The plane on a model of the kernel: what it is told comes true, or whoever waits hears that it did not."""

from __future__ import annotations

import errno
from ipaddress import ip_address, ip_network

import pytest

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId, Transport
from mobike.commands import ChildInstalled, ChildRefused, ChildSpent, ChildWorn, PeerMapped, PlaneWord, Traffic
from mobike.dataplane.operations import InstallChild, MoveSa, Park, RemoveChild, Sends, Volumes
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.plane import LINGER, Ports, XfrmPlane
from mobike.dataplane.xfrm.read import Expired, MappingChanged, News
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import Action, Policy, PolicyKey, SaKey, SaName
from mobike.dataplane.xfrm.uapi import Dir
from mobike.events import PlaneRefused, Role, SaMoved
from mobike.selector import Traffic as Selected

from .lab import SameKeys
from .model import ModelKernel

HERE, ELSEWHERE = Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("198.51.100.1"), 4500)
THERE, OTHER = Endpoint(ip_address("203.0.113.1"), 4500), Endpoint(ip_address("203.0.113.2"), 1024)
OLD, NEW = Path(HERE, THERE), Path(ELSEWHERE, OTHER)
SELECTOR = Selector(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
SA = SaId(7)
EVERY = Means.MIGRATE_STATE | Means.MIGRATE | Means.TAKE


class Rumours:
    """News as a test wants it."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.lost = False

    def fileno(self) -> int:
        return 0

    def take(self) -> tuple[list[News], bool]:
        news, self.news = self.news, []
        lost, self.lost = self.lost, False
        return news, lost

    def close(self) -> None:
        """There is nothing to close."""


class Rig:
    """A plane on a model."""

    def __init__(self, *, means: Means = EVERY, kernel: ModelKernel | None = None, now: int = 0) -> None:
        self.kernel = kernel or ModelKernel()
        self.news = Rumours()
        self.plane = XfrmPlane(self.kernel, self.news, means, Ports())
        self.plane.wake(Nanos(now))

    def install(self, child: int = 1, **changes: object) -> list[PlaneWord]:
        self.plane.carry([order(child, **changes)])
        return self.plane.words()

    def established(self) -> Rig:
        assert self.install() == [ChildInstalled(ChildId(1))]
        self.kernel.watched = (SELECTOR,)
        self.kernel.went_clear.clear()
        return self

    def addresses(self) -> set[tuple[str, str]]:
        return {(str(held.sa.source), str(held.sa.destination)) for held in self.kernel.sas_by_key.values()}


def order(child: int = 1, **changes: object) -> InstallChild:
    given: dict[str, object] = {
        "sa": SA, "child": ChildId(child), "name": "net", "role": Role.INITIATOR, "spi_in": 0x1000 + child,
        "spi_out": 0x2000 + child, "suite": "aes128gcm16", "local_ts": ("10.1.0.0/16",), "remote_ts": ("10.2.0.0/16",),
        "path": OLD, "encap": True, "sends": Sends.AT_ONCE, "instead_of": None, "volumes": Volumes(),
        "keys": SameKeys((20, 0)),
    }  # fmt: skip
    return InstallChild(**(given | changes))  # type: ignore[arg-type]


def ends(path: Path) -> set[tuple[str, str]]:
    local, remote = str(path.local.ip), str(path.remote.ip)
    return {(local, remote), (remote, local)}


def test_a_child_sa_goes_in_and_out_again_and_leaves_nothing() -> None:
    rig = Rig()
    assert rig.install() == [ChildInstalled(ChildId(1))]
    assert rig.addresses() == ends(OLD)
    assert {key.direction for key in rig.kernel.policies_by_key} == set(Dir)
    assert rig.kernel.send(SELECTOR) == "sent"
    rig.plane.carry([RemoveChild(SA, ChildId(1)), RemoveChild(SA, ChildId(1))])
    assert rig.kernel.now_holding().sas == {}
    assert rig.kernel.policies_by_key == {}
    assert rig.plane.words() == [], "removing is not answered"


@pytest.mark.parametrize("means", [EVERY, Means.MIGRATE | Means.TAKE, Means.TAKE], ids=str)
def test_a_move_takes_everything_along_and_is_answered(means: Means) -> None:
    rig = Rig(means=means).established()
    rig.install(2, remote_ts=("10.3.0.0/16",), spi_in=5, spi_out=6)
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, NEW)]
    assert rig.addresses() == ends(NEW)
    assert rig.kernel.send(SELECTOR) == "sent"
    assert rig.kernel.went_clear == []


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOMEM])
@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("means", [EVERY, Means.MIGRATE | Means.TAKE, Means.TAKE], ids=str)
def test_a_refused_step_of_a_move_ends_in_a_live_tunnel_or_in_a_word_about_it(
    means: Means, place: int, error: int
) -> None:
    rig = Rig(means=means).established()
    rig.kernel.refuse = {rig.kernel.steps_done + place: error}
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    (event,) = rig.plane.take()
    spent = rig.plane.words() == [ChildSpent(ChildId(1))]
    assert rig.kernel.went_clear == []
    if spent:
        assert rig.kernel.send(SELECTOR) == "blocked"
        assert rig.kernel.now_holding().sas == {}, "half a Child SA is none"
    else:
        assert rig.kernel.send(SELECTOR) == "sent"
        there = NEW if isinstance(event, SaMoved) else OLD
        assert rig.addresses() == ends(there)
        assert isinstance(event, SaMoved | PlaneRefused)
    # The kernel obeys again, and so does the plane.
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, NEW)]
    assert rig.kernel.send(SELECTOR) == ("blocked" if spent else "sent")


@pytest.mark.parametrize("inbound", [True, False])
@pytest.mark.parametrize("means", [EVERY, Means.MIGRATE | Means.TAKE, Means.TAKE], ids=str)
def test_a_move_of_what_is_gone_asks_for_another(means: Means, inbound: bool) -> None:
    rig = Rig(means=means).established()
    rig.kernel.forget(*((HERE.ip, 0x1001) if inbound else (THERE.ip, 0x2001)))
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert rig.plane.words() == [ChildSpent(ChildId(1))]
    assert rig.kernel.now_holding().sas == {}
    assert rig.kernel.send(SELECTOR) == "blocked"
    assert rig.kernel.went_clear == []


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("means", [EVERY, Means.MIGRATE | Means.TAKE, Means.TAKE], ids=str)
def test_answers_that_are_lost_are_made_good_by_looking(means: Means, place: int) -> None:
    rig = Rig(means=means).established()
    rig.kernel.lose_answers = {rig.kernel.steps_done + place}
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    (event,) = rig.plane.take()
    assert rig.kernel.went_clear == []
    assert event == SaMoved(SA, NEW)
    if rig.plane.words() == []:
        assert rig.addresses() == ends(NEW)
        assert rig.kernel.send(SELECTOR) == "sent"


@pytest.mark.parametrize("place", range(5))
def test_a_child_sa_that_the_kernel_does_not_take_is_refused_and_leaves_nothing(place: int) -> None:
    rig = Rig()
    rig.kernel.refuse = {place: errno.ENOSYS}
    (word,) = rig.install()
    if isinstance(word, ChildRefused):
        rig.plane.carry([RemoveChild(SA, ChildId(1))])
        assert rig.kernel.now_holding().sas == {}
        assert rig.kernel.policies_by_key == {}
    else:
        assert rig.kernel.send(SELECTOR) == "sent"


def test_a_rekeyed_pair_sends_when_the_old_one_goes_without_a_gap() -> None:
    rig = Rig().established()
    assert rig.install(2, sends=Sends.WHEN_USED, instead_of=ChildId(1)) == [ChildInstalled(ChildId(2))]
    assert SaKey(THERE.ip, 0x2002) not in rig.kernel.sas_by_key, "it only receives so far"
    before = dict(rig.kernel.policies_by_key)
    sent = len(rig.kernel.used)
    steps = rig.kernel.steps_done
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    pair = {SaName(2, True), SaName(2, False)}
    assert {held.key for held in rig.kernel.sas_by_key.values()} == pair | {SaName(1, True)}, (
        "some are still on the way"
    )
    assert rig.kernel.policies_by_key == before, "policies do not change with keys"
    assert len(rig.kernel.used) - sent == rig.kernel.steps_done - steps, "a packet went out after each step"
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    rig.plane.wake(Nanos(LINGER))
    assert {held.key for held in rig.kernel.sas_by_key.values()} == pair


def test_with_the_last_pair_those_that_were_replaced_go_as_well() -> None:
    rig = Rig().established()
    rig.install(2)
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    rig.kernel.watched = ()
    rig.plane.carry([RemoveChild(SA, ChildId(2))])
    assert rig.kernel.now_holding().sas == {}
    assert rig.kernel.policies_by_key == {}


def test_many_ike_sas_for_the_same_selectors_come_in_one_batch() -> None:
    """Policies that one of them has put are not taken for somebody else's by the next."""
    rig = Rig()
    rig.plane.carry([order(number, sa=SaId(number)) for number in range(40)])
    assert rig.plane.words() == [ChildInstalled(ChildId(number)) for number in range(40)]


def test_a_rekeyed_pair_sends_when_the_peer_has_used_it() -> None:
    rig = Rig().established()
    rig.install(2, sends=Sends.WHEN_USED, instead_of=ChildId(1))
    rig.plane.wake(Nanos(60_000_000))
    assert SaKey(THERE.ip, 0x2002) not in rig.kernel.sas_by_key
    rig.kernel.sas_by_key[SaKey(HERE.ip, 0x1002)].packets_in = 1
    rig.plane.wake(Nanos(120_000_000))
    assert SaKey(THERE.ip, 0x2002) in rig.kernel.sas_by_key
    assert Traffic(SA, heard=True, sent=False) in rig.plane.words()


def test_of_two_pairs_for_the_same_the_one_that_never_sends_only_receives() -> None:
    rig = Rig().established()
    rig.install(2, sends=Sends.NEVER, instead_of=ChildId(1))
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.kernel.send(SELECTOR) == "blocked"


def test_traffic_is_told_and_what_comes_just_after_a_move_is_not_believed() -> None:
    rig = Rig().established()
    inbound = rig.kernel.sas_by_key[SaKey(HERE.ip, 0x1001)]
    inbound.packets_in = 4
    rig.plane.wake(Nanos(100_000_000))
    assert rig.plane.words() == [Traffic(SA, heard=True, sent=False)]
    rig.plane.wake(Nanos(200_000_000))
    assert rig.plane.words() == []
    moved = Path(HERE, OTHER)
    rig.plane.apply([MoveSa(SA, moved, encap=True)])
    rig.kernel.sas_by_key[SaKey(HERE.ip, 0x1001)].packets_in = 9
    rig.plane.wake(Nanos(300_000_000))
    assert not any(isinstance(word, Traffic) and word.heard for word in rig.plane.words())
    rig.kernel.sas_by_key[SaKey(HERE.ip, 0x1001)].packets_in = 12
    rig.plane.wake(Nanos(400_000_000))
    assert any(isinstance(word, Traffic) and word.heard for word in rig.plane.words())


def test_an_sa_that_somebody_else_removed_is_noticed_and_replaced() -> None:
    rig = Rig().established()
    rig.kernel.forget(THERE.ip, 0x2001)
    rig.plane.wake(Nanos(100_000_000))
    assert rig.plane.words() == [ChildSpent(ChildId(1))]
    assert rig.kernel.now_holding().sas == {}
    assert rig.kernel.send(SELECTOR) == "blocked"
    rig.plane.carry([order(2), RemoveChild(SA, ChildId(1))])
    assert rig.plane.words() == [ChildInstalled(ChildId(2))]
    assert rig.kernel.send(SELECTOR) == "sent"


def test_worn_spent_and_mapped_are_told_to_the_core() -> None:
    rig = Rig().established()
    key = SaKey(HERE.ip, 0x1001)
    rig.news.news = [
        Expired(key, 0, hard=False),
        Expired(SaKey(THERE.ip, 0x2001), 0, hard=False),
        MappingChanged(key, 0, OTHER.ip, 77),
        Expired(SaKey(HERE.ip, 0xBAD), 0, hard=True),
    ]
    rig.plane.wake(Nanos(1))
    assert rig.plane.words() == [ChildWorn(ChildId(1)), PeerMapped(SA, Path(HERE, Endpoint(OTHER.ip, 77)))]
    rig.kernel.forget(HERE.ip, 0x1001)
    rig.news.news = [Expired(key, 0, hard=True)]
    rig.plane.wake(Nanos(2))
    assert rig.plane.words() == [ChildSpent(ChildId(1))]
    assert rig.kernel.now_holding().sas == {}


def test_after_a_restart_what_is_there_is_adopted_mended_or_removed() -> None:
    before = Rig().established()
    before.install(2, remote_ts=("10.3.0.0/16",))
    before.plane.close(keep=True)
    rig = Rig(kernel=before.kernel)
    # A crash lost a move: the engine is on the new path. The other Child SA is not known any more.
    assert rig.install(1, path=NEW, keys=None) == [ChildInstalled(ChildId(1))]
    assert rig.install(3, keys=None) == [ChildRefused(ChildId(3), "the kernel does not have it any more")]
    assert rig.kernel.send(SELECTOR) == "sent"
    lines = rig.plane.remove_orphans()
    assert len(lines) == 2 + 3, lines
    assert rig.addresses() == ends(NEW)
    assert {key.selector for key in rig.kernel.policies_by_key if key.direction is Dir.OUT} == {SELECTOR}
    assert rig.kernel.went_clear == []


def test_orphans_go_by_themselves_after_a_while() -> None:
    before = Rig().established()
    rig = Rig(kernel=before.kernel)
    before.kernel.watched = ()
    deadline = rig.plane.poll_deadline()
    assert deadline is not None
    rig.plane.wake(deadline)
    assert rig.kernel.now_holding().sas == {} and rig.kernel.policies_by_key == {}
    assert rig.plane.poll_deadline() is None


def test_a_policy_of_somebody_else_stays_and_the_child_sa_is_refused() -> None:
    foreign = Policy(PolicyKey(Dir.OUT, SELECTOR), Action.PASS, 1_000)
    rig = Rig(kernel=ModelKernel(policies_by_key={foreign.key: foreign}))
    (word,) = rig.install()
    assert isinstance(word, ChildRefused)
    assert "not ours" in word.why
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.kernel.policies_by_key == {foreign.key: foreign}
    assert rig.kernel.now_holding().sas == {}


def test_what_is_wanted_but_down_is_blocked_before_during_and_after() -> None:
    rig = Rig()
    rig.plane.block("office", [Selected(("10.1.0.0/16",), ("10.2.0.0/16",))])
    rig.kernel.watched = (SELECTOR,)
    assert rig.kernel.send(SELECTOR) == "blocked"
    rig.install()
    assert rig.kernel.send(SELECTOR) == "sent"
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.kernel.send(SELECTOR) == "blocked"
    assert rig.kernel.went_clear == []
    rig.kernel.watched = ()
    rig.plane.unblock("office")
    assert rig.kernel.policies_by_key == {}


def test_what_an_owner_blocks_now_takes_the_place_of_what_it_blocked() -> None:
    rig = Rig()
    rig.plane.block("office", [Selected(("10.1.0.0/16",), ("10.2.0.0/16",))])
    rig.kernel.watched = (SELECTOR,)
    both = [Selected(("10.1.0.0/16",), ("10.2.0.0/16",)), Selected(("10.1.0.0/16",), ("10.3.0.0/16",))]
    rig.plane.block("office", both)
    assert (rig.kernel.send(SELECTOR), rig.kernel.went_clear) == ("blocked", [])
    rig.kernel.watched = ()
    rig.plane.block("office", both[1:])
    assert rig.kernel.send(SELECTOR) == "clear"
    rig.plane.block("another", both[1:])
    rig.plane.unblock("office")
    assert rig.kernel.policies_by_key
    rig.plane.unblock("another")
    assert rig.kernel.policies_by_key == {}


def test_packets_for_a_peer_that_is_away_are_thrown_away_until_it_is_back() -> None:
    rig = Rig().established()
    rig.plane.apply([Park(SA)])
    assert rig.kernel.send(SELECTOR) == "blocked"
    rig.plane.apply([MoveSa(SA, OLD, encap=True)])
    assert rig.kernel.send(SELECTOR) == "sent"


def test_a_second_ike_sa_to_the_same_peer_takes_over_without_a_gap() -> None:
    rig = Rig().established()
    rig.install(2, sa=SaId(8), path=NEW)
    assert rig.kernel.send(SELECTOR) == "sent"
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.kernel.send(SELECTOR) == "sent"
    assert rig.addresses() == ends(NEW)
    assert rig.kernel.went_clear == []


def test_a_kernel_carries_nothing_in_tcp() -> None:
    rig = Rig().established()
    stream = Path(HERE, THERE, Transport.TCP)
    rig.plane.apply([MoveSa(SA, stream, encap=False)])
    (event,) = rig.plane.take()
    assert isinstance(event, PlaneRefused)
    assert "userspace" in event.why
    (word,) = rig.install(2, path=stream, sa=SaId(9))
    assert isinstance(word, ChildRefused)


def test_esp_in_udp_leaves_from_the_ports_of_nat_traversal() -> None:
    ike = Path(Endpoint(HERE.ip, 500), Endpoint(THERE.ip, 500))
    rig = Rig().established()
    rig.plane.apply([MoveSa(SA, ike, encap=True)])
    sa = rig.kernel.sas_by_key[SaKey(THERE.ip, 0x2001)].sa
    assert sa.encap is not None
    assert (sa.encap.source_port, sa.encap.destination_port) == (4500, 4500)
    assert rig.plane.take() == [SaMoved(SA, ike)]


def test_many_ike_sas_move_in_one_batch() -> None:
    rig = Rig()
    for number in range(100):
        rig.install(number, sa=SaId(number), remote_ts=(f"10.2.{number}.0/24",))
    rig.plane.apply([MoveSa(SaId(number), NEW, encap=True) for number in range(100)])
    assert len(rig.plane.take()) == 100
    assert rig.addresses() == ends(NEW)
