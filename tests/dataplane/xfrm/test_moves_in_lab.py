"""Moves of hand-made SAs in a real kernel, under a stream of a thousand packets a second each way."""

from __future__ import annotations

import pytest

from mobike.dataplane.xfrm.plan import Holding, Means, plan
from mobike.dataplane.xfrm.probe import probe
from mobike.dataplane.xfrm.state import SaName

from .lab import INNER_A, INNER_B, KEYS, Host, Stream, holding, stopped, two_hosts

pytestmark = [pytest.mark.kernel_ipsec, pytest.mark.interop]

JOURNEY: list[tuple[str, str, tuple[int, int] | None]] = [
    ("other link", "second", None),
    ("other family", "six", None),
    ("to IPv4, encapsulation comes", "first", (4500, 4500)),
    ("port only", "first", (4501, 4500)),
    ("other link and port", "second", (4500, 4500)),
    ("encapsulation goes", "second", None),
    ("encapsulation comes", "second", (4500, 4500)),
    ("to IPv6, encapsulation goes", "six", None),
]
EMPTY = Holding({}, {})
PACKETS = 300
"""Between two moves."""


def put(host: Host, have: Holding, want: Holding, means: Means) -> None:
    for wave in plan(have, want, means):
        refused = host.kernel.run(wave, KEYS).refusals
        assert not refused, [(wave[place], str(why)) for place, why in refused.items()]


def held(host: Host) -> Holding:
    """What the kernel shows, by names of ours."""
    sas = {SaName(1, seen.sa.inbound): seen.sa for seen in host.kernel.sas()}
    return Holding(sas, {seen.policy.key: seen.policy for seen in host.kernel.policies()})


def sent(host: Host) -> int:
    return next(seen.counters.sent for seen in host.kernel.sas() if not seen.sa.inbound)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("means", [Means.MIGRATE | Means.TAKE, Means.TAKE], ids=["migrate", "take"])
def test_a_stream_goes_on_over_every_kind_of_move(means: Means) -> None:
    link: tuple[str, tuple[int, int] | None] = ("first", None)
    with two_hosts() as (a, b):
        if means not in probe(a.kernel).means:
            pytest.skip("this kernel has no XFRM_MSG_MIGRATE (CONFIG_XFRM_MIGRATE)")
        sides = ((a, "a"), (b, "b"))
        for host, side in sides:
            put(host, EMPTY, holding(side, *link), means)
            assert held(host) == holding(side, *link)
        streams = [Stream.start(a, b, (INNER_A, INNER_B)), Stream.start(b, a, (INNER_B, INNER_A))]
        moments = []
        for name, to, ports in JOURNEY:
            for stream in streams:
                stream.go_on(PACKETS)
            before = sent(a), sent(b)
            at = [stream.number_now() for stream in streams]
            for host, side in sides:
                put(host, holding(side, *link), holding(side, to, ports), means)
            moments.append((name, at))
            assert all(0 < was <= now for was, now in zip(before, (sent(a), sent(b)), strict=True)), "it went back"
            for host, side in sides:
                assert held(host) == holding(side, to, ports), "the kernel holds just what it should"
            link = (to, ports)
        for stream in streams:
            stream.go_on(PACKETS)
        lost = stopped(*streams)
        ends = [*(at for _, at in moments[1:]), [stream.count for stream in streams]]
        for (name, at), later in zip(moments, ends, strict=True):
            each = [sum(b <= n < e for n in m) for b, e, m in zip(at, later, lost, strict=True)]
            print(f"{means}: {name}: lost {each[0]} and {each[1]}")
        for host, side in sides:
            assert not {"XfrmInStateSeqError", "XfrmInStateProtoError"} & host.statistics().keys()
            put(host, holding(side, *link), EMPTY, means)
            assert held(host) == EMPTY
        # Both hosts move, one after the other: packets in between are for an SA that is elsewhere.
        print(f"{means}: {list(map(len, lost))} of {streams[0].count}; {a.statistics()} {b.statistics()}")
        assert max(map(len, lost)) < PACKETS * len(JOURNEY)
