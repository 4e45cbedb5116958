"""What a real kernel lacks, or has already, while Child SAs come: who waits hears why, and nobody else suffers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mobike.address import ChildId, SaId
from mobike.commands import ChildInstalled, ChildRefused, ChildSpent
from mobike.dataplane.operations import RemoveChild
from mobike.dataplane.xfrm.monitor import Monitor
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.plane import Ports, XfrmPlane
from mobike.dataplane.xfrm.probe import probe
from mobike.dataplane.xfrm.suites import suite_of

from .lab import INNER_A, INNER_B, SameKeys
from .test_plane_in_lab import SA, End, two_ends

pytestmark = [pytest.mark.kernel_ipsec, pytest.mark.interop, pytest.mark.timeout(120)]

CHACHA = "chacha20poly1305"
_LOADER = Path("/proc/sys/kernel/modprobe")


@contextmanager
def without_chacha() -> Iterator[None]:
    """The kernel has no module of this name, and finds none."""
    if not _LOADER.exists():
        pytest.skip("this kernel has all of it built in")
    loader = _LOADER.read_text()
    try:
        _LOADER.write_text("/bin/false\n")
        done = subprocess.run(["rmmod", CHACHA], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"this kernel keeps it: {done.stderr}")
        yield
    finally:
        _LOADER.write_text(loader)
        subprocess.run(["modprobe", CHACHA], check=True)


def test_a_kernel_without_an_algorithm_refuses_who_needs_it_and_says_so() -> None:
    with ExitStack() as stack:
        a, _ = stack.enter_context(two_ends())
        assert CHACHA in probe(a.host.kernel).suites, "and whatever else it has is loaded from now on"
        stack.enter_context(without_chacha())
        assert probe(a.host.kernel).suites.isdisjoint({CHACHA})
        keys = SameKeys(suite_of(CHACHA).lengths)
        a.plane.carry([a.order(1), a.order(2, sa=SaId(2), suite=CHACHA, keys=keys, local_ts=("10.66.0.0/16",))])
        words = a.plane.words()
        assert ChildInstalled(ChildId(1)) in words
        (refused,) = [word for word in words if isinstance(word, ChildRefused)]
        assert refused.child == ChildId(2)
        assert "lacks the algorithm" in refused.why
        assert a.lines() == 2 + 3 + 3, "who wanted it is blocked, until the core has heard"
        a.plane.carry([RemoveChild(SaId(2), ChildId(2))])
        assert a.lines() == 2 + 3, "nothing is left of it"


def test_a_policy_of_somebody_else_in_the_way_is_named_and_stays() -> None:
    with two_ends() as (a, _):
        words = f"src {INNER_A}/32 dst {INNER_B}/32 dir out"
        a.host.run(f"ip xfrm policy add {words} action block priority 9")
        a.plane.carry([a.order(1)])
        (refused,) = a.plane.words()
        assert isinstance(refused, ChildRefused)
        assert refused.why == f"a policy that is not ours is in the way: {INNER_A}/32 -> {INNER_B}/32"
        a.plane.carry([RemoveChild(SA, ChildId(1))])
        assert a.lines() == 1, "theirs alone"
        a.host.run(f"ip xfrm policy delete {words}")
        a.install(2)
        assert a.lines() == 2 + 3


def test_what_was_lost_in_a_flood_of_news_is_found_at_once() -> None:
    """A responder looks at its SAs every ten seconds; a flood makes it look now."""
    with two_ends() as (_, b):
        b.news.close()
        news = b.host.inside(lambda: Monitor(b.host.kernel.port, room=1))
        end = End(b.host, XfrmPlane(b.host.kernel, news, Means.TAKE, Ports()), b.local_first, news)
        end.wake()
        end.install(1)
        for _ in range(100):
            end.host.run("ip xfrm policy add src 10.66.0.0/16 dst 10.77.0.0/16 dir out")
            end.host.run("ip xfrm policy delete src 10.66.0.0/16 dst 10.77.0.0/16 dir out")
        end.host.run("ip xfrm policy flush")
        end.host.run("ip xfrm state flush")
        assert end.wake(1) == [ChildSpent(ChildId(1))]
        assert end.lines() == 3, "who wanted it is blocked until there is another"
        b.news = news
