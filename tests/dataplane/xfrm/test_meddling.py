"""Somebody else takes away what is ours: noticed at once, put back or replaced, and never taken for our own doing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from structlog.testing import capture_logs

from mobike.address import ChildId, Nanos
from mobike.commands import ChildSpent
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.monitor import Monitor
from mobike.dataplane.xfrm.read import News, Removed
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import Action, Policy, PolicyKey, SaKey
from mobike.dataplane.xfrm.steps import DropPolicy, PutPolicy
from mobike.dataplane.xfrm.uapi import Dir
from mobike.selector import Traffic

from .lab import own_namespace
from .test_plane import SELECTOR, Rig

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="netlink needs root")

OURS = Policy(PolicyKey(Dir.OUT, Selector(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))), Action.BLOCK, 46_000)


def test_policies_that_somebody_flushed_are_put_back_and_the_sas_stay() -> None:
    rig = Rig().established()
    rig.plane.block("other", [Traffic(("10.5.0.0/16",), ("10.6.0.0/16",))])
    rig.plane.wait_for("third", [])
    before = dict(rig.kernel.policies_by_key)
    rig.kernel.policies_by_key.clear()
    rig.news.news.append(Removed(policies=True))
    rig.plane.wake(Nanos(1))
    assert rig.kernel.policies_by_key == before
    assert rig.plane.words() == []
    assert len(rig.kernel.sas_by_key) == 2
    rig.kernel.went_clear.clear()
    rig.plane.wake(Nanos(2))
    assert rig.kernel.went_clear == []


def test_one_policy_of_three_is_put_back() -> None:
    rig = Rig().established()
    before = dict(rig.kernel.policies_by_key)
    del rig.kernel.policies_by_key[PolicyKey(Dir.FWD, SELECTOR.reversed())]
    steps = rig.kernel.steps_done
    rig.news.lost = True
    with capture_logs() as said:
        rig.plane.wake(Nanos(1))
    assert [each["event"] for each in said] == ["kernel.overflow", "kernel.meddled"]
    assert rig.kernel.policies_by_key == before
    assert rig.kernel.steps_done == steps + 1, "and nothing else is touched"


@pytest.mark.parametrize("told", [True, False], ids=["one", "all"])
def test_an_sa_that_somebody_removed_is_replaced_without_waiting_for_the_next_look(told: bool) -> None:
    rig = Rig().established()
    inbound = next(key for key in rig.kernel.sas_by_key if key.destination == ip_address("192.0.2.1"))
    del rig.kernel.sas_by_key[inbound]
    rig.news.news.append(Removed(inbound) if told else Removed())
    rig.plane.wake(Nanos(1))
    assert rig.plane.words() == [ChildSpent(ChildId(1))]
    assert rig.kernel.send(SELECTOR) == "blocked"


def test_word_of_what_is_not_ours_or_is_there_after_all_changes_nothing() -> None:
    rig = Rig().established()
    steps = rig.kernel.steps_done
    ours = next(iter(rig.kernel.sas_by_key))
    rig.news.news += [Removed(SaKey(ip_address("192.0.2.99"), 7)), Removed(ours), Removed(policies=True)]
    rig.plane.wake(Nanos(1))
    assert (rig.plane.words(), rig.kernel.steps_done) == ([], steps)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with own_namespace():
        kernel = Kernel()
        yield kernel
        kernel.close()


def _told(monitor: Monitor) -> list[News]:
    news, lost = monitor.take()
    assert not lost
    return news


@needs_root
def test_the_kernel_tells_of_what_others_removed_and_of_nothing_that_we_did(kernel: Kernel) -> None:
    monitor = Monitor(kernel.port)
    for _ in range(3):
        assert kernel.run([PutPolicy(OURS, fresh=True), PutPolicy(OURS, fresh=False)], {}).refusals == {}
        assert kernel.run([DropPolicy(OURS.key)], {}).refusals == {}
    assert _told(monitor) == []
    kernel.run([PutPolicy(OURS, fresh=True)], {})
    selector = OURS.key.selector
    words = f"ip xfrm policy delete src {selector.source} dst {selector.destination} dir out"
    subprocess.run(words.split(), check=True)
    assert _told(monitor) == [Removed(policies=True)]
    subprocess.run(["ip", "xfrm", "policy", "add", *words.split()[4:]], check=True)
    assert _told(monitor) == [], "what others add is their own affair"
    subprocess.run(["ip", "xfrm", "policy", "flush"], check=True)
    assert _told(monitor) == [Removed(policies=True)]
    monitor.close()


@needs_root
def test_a_flood_of_news_is_noticed_and_the_next_is_read(kernel: Kernel) -> None:
    monitor = Monitor(kernel.port, room=1)
    script = "".join(
        f"policy add src 10.{number}.0.0/16 dst 10.200.0.0/16 dir out\n"
        f"policy delete src 10.{number}.0.0/16 dst 10.200.0.0/16 dir out\n"
        for number in range(100)
    )
    subprocess.run(["ip", "-batch", "-"], input=script.replace("policy", "xfrm policy"), text=True, check=True)
    news, lost = monitor.take()
    assert lost
    assert len(news) < 100
    kernel.run([PutPolicy(OURS, fresh=True)], {})
    subprocess.run(["ip", "xfrm", "policy", "flush"], check=True)
    assert _told(monitor)[-1:] == [Removed(policies=True)]
    monitor.close()


@needs_root
def test_a_flood_while_policies_go_ends_with_all_of_them_back(kernel: Kernel) -> None:
    """The plane on a real kernel, as far as it goes without ESP: what is blocked stays blocked."""
    from mobike.dataplane.xfrm.plan import Means  # noqa: PLC0415
    from mobike.dataplane.xfrm.plane import Ports, XfrmPlane  # noqa: PLC0415

    monitor = Monitor(kernel.port, room=1)
    plane = XfrmPlane(kernel, monitor, Means.TAKE, Ports())
    plane.wake(Nanos(0))
    plane.block("net", [Traffic(("10.1.0.0/16",), ("10.2.0.0/16", "10.3.0.0/16"))])
    before = {seen.policy.key: seen.policy for seen in kernel.policies()}
    assert len(before) == 6
    for _ in range(100):
        subprocess.run(["ip", "xfrm", "policy", "flush"], check=True)
    assert kernel.policies() == []
    plane.wake(Nanos(1))
    assert {seen.policy.key: seen.policy for seen in kernel.policies()} == before
    plane.close(keep=False)
