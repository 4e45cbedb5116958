"""Transport mode: what the kernel is told of a Child SA between two hosts, and what such a one is never taken for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from mobike.address import ChildId, Endpoint, Path, SaId
from mobike.dataplane.operations import InstallChild, Sends, Volumes
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.adopt import Left
from mobike.dataplane.xfrm.book import Book, BookError
from mobike.dataplane.xfrm.plan import Holding, Means, NoWayError, plan
from mobike.dataplane.xfrm.read import messages, policy_of, sa_of
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import OUR_REQIDS, Action, Counters, Policy, PolicyKey, Sa, SaName, SaSeen, Template
from mobike.dataplane.xfrm.suites import suite_of
from mobike.dataplane.xfrm.uapi import Dir, SaFlag
from mobike.dataplane.xfrm.wire import Batch, no_keys
from mobike.events import Role

from .lab import SameKeys

SA = SaId(7)
FOUR = ("192.0.2.1", "203.0.113.1")
SIX = ("2001:db8:1::1", "2001:db8:2::1")
EVERY_MEANS = Means.MIGRATE_STATE | Means.MIGRATE | Means.TAKE


def path_of(ends: tuple[str, str]) -> Path:
    local, remote = (Endpoint(ip_address(end), 500) for end in ends)
    return Path(local, remote)


def order(child: int = 1, ends: tuple[str, str] = FOUR, **changes: object) -> InstallChild:
    host = "/32" if ends is FOUR else "/128"
    given: dict[str, object] = {
        "sa": SA, "child": ChildId(child), "name": "hosts", "role": Role.INITIATOR, "spi_in": 0x1000 + child,
        "spi_out": 0x2000 + child, "suite": "aes128gcm16", "local_ts": (ends[0] + host,),
        "remote_ts": (ends[1] + host,), "path": path_of(ends), "encap": False, "sends": Sends.AT_ONCE,
        "instead_of": None, "volumes": Volumes(), "keys": SameKeys((20, 0)), "transport_mode": True,
    }  # fmt: skip
    return InstallChild(**(given | changes))  # type: ignore[arg-type]


def one(batch: Batch) -> memoryview:
    (message,) = messages(bytes(batch.buffer))
    return message.body


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_the_kernel_gets_two_sas_and_no_policy_for_what_it_forwards(ends: tuple[str, str]) -> None:
    book = Book()
    child = book.install(order(ends=ends))
    goal = book.goal(SA)
    assert {(sa.inbound, sa.transport_mode) for sa in goal.sas.values()} == {(True, True), (False, True)}
    assert {key.direction for key in goal.policies} == {Dir.OUT, Dir.IN}
    assert all(policy.action is Action.PROTECT for policy in goal.policies.values())
    out = next(policy for key, policy in goal.policies.items() if key.direction is Dir.OUT)
    local, remote = map(ip_address, ends)
    assert out.template == Template(child.reqid, local, remote, transport_mode=True)


@pytest.mark.parametrize("ends", [FOUR, SIX])
@pytest.mark.parametrize("transport_mode", [True, False])
def test_what_is_written_of_it_is_read_again(ends: tuple[str, str], transport_mode: bool) -> None:
    book = Book()
    book.install(order(ends=ends, transport_mode=transport_mode))
    goal = book.goal(SA)
    for sa in goal.sas.values():
        written = Batch(knows_direction=True)
        written.new_sa(sa, no_keys)
        seen = sa_of(one(written))
        assert seen is not None and seen.sa == sa
        info = uapi.USERSA_INFO.unpack_from(one(written))
        assert info[34] == (uapi.XFRM_MODE_TRANSPORT if transport_mode else uapi.XFRM_MODE_TUNNEL)
        # The kernel says of that flag: only tunnel modes can accommodate an AF_UNSPEC selector.
        assert bool(info[36] & SaFlag.AF_UNSPEC) is not transport_mode
    for policy in goal.policies.values():
        written = Batch(knows_direction=True)
        written.put_policy(policy, fresh=True)
        read = policy_of(one(written))
        assert read is not None and read.policy == policy


def test_a_policy_between_hosts_names_their_family_even_where_it_names_no_host() -> None:
    selector = Selector(ip_network("2001:db8:2::1"), ip_network("2001:db8:1::1"))
    template = Template(OUR_REQIDS.start, transport_mode=True)
    written = Batch(knows_direction=True)
    written.put_policy(Policy(PolicyKey(Dir.IN, selector), Action.PROTECT, 46_000, template), fresh=True)
    tmpl = bytes(one(written))[uapi.USERPOLICY_INFO.size + uapi.NLATTR.size :]
    assert uapi.USER_TMPL.unpack_from(tmpl)[3] == uapi.AF_INET6


@pytest.mark.parametrize(
    "changes",
    [
        {"local_ts": ("10.1.0.0/16",)},
        {"remote_ts": ("203.0.113.0/31",)},
        {"remote_ts": ("203.0.113.1/32", "203.0.113.2/32")},
        {"path": path_of(("192.0.2.9", FOUR[1]))},
    ],
)
def test_one_about_others_than_the_ends_of_its_path_is_refused(changes: dict[str, object]) -> None:
    book = Book()
    with pytest.raises(BookError, match="what the two ends of a path send to each other"):
        book.install(replace(order(), **changes))  # type: ignore[arg-type]
    assert len(book) == 0


def test_a_tunnel_between_the_same_hosts_never_shares_its_reqid() -> None:
    book = Book()
    tunnel, hosts = book.install(order(1, transport_mode=False)), book.install(order(2))
    assert tunnel.selectors == hosts.selectors
    assert tunnel.reqid != hosts.reqid
    assert book.install(order(3)).reqid == hosts.reqid, "a rekey does"
    for child in (1, 2, 3):
        book.remove(ChildId(child))
    assert book.install(order(4)).order.transport_mode


def held(name: SaName, sa: Sa) -> Holding:
    return Holding({name: sa}, {})


def test_it_goes_nowhere_else_and_needs_new_keys_instead() -> None:
    name = SaName(1, inbound=True)
    ends = tuple(map(ip_address, FOUR))
    sa = Sa(True, 0x1001, ends[1], ends[0], OUR_REQIDS.start, suite_of("aes128gcm16"), None, transport_mode=True)
    elsewhere = sa._replace(destination=ip_address("192.0.2.9"))
    assert plan(held(name, sa), held(name, sa), EVERY_MEANS) == []
    for want in (elsewhere, sa._replace(transport_mode=False)):
        with pytest.raises(NoWayError):
            plan(held(name, sa), held(name, want), EVERY_MEANS)


@pytest.mark.parametrize("transport_mode", [True, False])
def test_after_a_restart_it_is_adopted_in_its_own_mode_alone(transport_mode: bool) -> None:
    book = Book()
    book.install(order())
    seen = [SaSeen(sa, Counters(), 0, 0, 0) for sa in book.goal(SA).sas.values()]
    taken = Left.of(seen, []).take(order(transport_mode=transport_mode))
    assert len(taken) == (2 if transport_mode else 0)
