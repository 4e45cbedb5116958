"""What a kernel can is found out by asking, and said in words."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from mobike.dataplane.xfrm.health import Grade, findings, in_front
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.probe import USUAL_SUITES, KernelCan, best_of, probe
from mobike.dataplane.xfrm.read import Answer, messages, sa_of
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import Action, Policy, PolicyKey, PolicySeen, SaSeen, priority_of
from mobike.dataplane.xfrm.steps import PutPolicy
from mobike.dataplane.xfrm.uapi import Dir, Msg
from mobike.dataplane.xfrm.wire import Batch

from .lab import own_namespace


class Older:
    """A kernel that answers as it is told."""

    def __init__(self, errors: dict[int, int], *, shows: bool = True) -> None:
        self._errors = errors
        self._shows = shows
        self._sas: list[SaSeen] = []

    def ask(self, write: Callable[[Batch], None]) -> Answer:
        batch = Batch(knows_direction=False)
        write(batch)
        (message,) = messages(bytes(batch.buffer))
        error = self._errors.get(message.kind, 0)
        if message.kind == Msg.NEWSA and not error and (seen := sa_of(message.body)) is not None:
            self._sas = [SaSeen(seen.sa, seen.counters, 0, 0, 0, not self._shows)]
        return Answer(message.sequence, error, "")

    def sas(self) -> list[SaSeen]:
        return self._sas


ESRCH, EINVAL, NO_OPTION = errno.ESRCH, errno.EINVAL, errno.ENOPROTOOPT


@pytest.mark.parametrize(
    ("errors", "shows", "means"),
    [
        ({Msg.MIGRATE_STATE: ESRCH, Msg.MIGRATE: errno.ENOENT}, True, Means.MIGRATE_STATE),
        ({Msg.MIGRATE_STATE: EINVAL, Msg.MIGRATE: errno.ENOENT}, True, Means.MIGRATE),
        ({Msg.MIGRATE_STATE: NO_OPTION, Msg.MIGRATE: NO_OPTION}, True, Means.TAKE),
        ({Msg.MIGRATE_STATE: NO_OPTION, Msg.MIGRATE: NO_OPTION}, False, Means.NONE),
    ],
)
def test_the_best_way_to_move_is_found(errors: dict[int, int], shows: bool, means: Means) -> None:
    can = probe(Older(errors | {Msg.GETSA: ESRCH}, shows=shows))
    assert can.usable
    assert best_of(can.means) is means
    assert len(list(can.lines())) == (3 if shows else 4)


def test_an_operator_may_want_no_move_by_the_kernel_itself() -> None:
    for shows, move in ((True, "removing and adding"), (False, "a rekey")):
        can = probe(Older({Msg.MIGRATE_STATE: ESRCH, Msg.MIGRATE: errno.ENOENT, Msg.GETSA: ESRCH}, shows=shows))
        barred = can.restoring()
        assert best_of(barred.means) is (Means.TAKE if shows else Means.NONE)
        told = next(line for line in barred.lines() if line.startswith("a move is"))
        assert move in told and 'moves = "restore"' in told and "CONFIG_XFRM_MIGRATE" not in told


def test_a_kernel_without_esp_says_so_with_the_fix() -> None:
    can = probe(Older({Msg.NEWSA: errno.EPROTONOSUPPORT, Msg.GETSA: ESRCH}))
    assert not can.usable
    assert list(can.lines()) == ["this kernel has no ESP: load esp4 and esp6, or use the userspace plane"]


def test_who_may_not_hears_what_is_missing() -> None:
    can = probe(Older({Msg.GETSA: errno.EPERM}))
    assert not can.usable
    assert "CAP_NET_ADMIN" in can.why_not


@pytest.mark.skipif(os.geteuid() != 0, reason="asks as root")
def test_this_kernel_is_left_as_it_was() -> None:
    with own_namespace():
        kernel = Kernel()
        can = probe(kernel)
        assert can.permitted
        assert kernel.sas() == [] and kernel.policies() == []
        kernel.close()
    assert best_of(can.means) in Means


@pytest.mark.kernel_ipsec
def test_a_kernel_with_esp_has_every_algorithm_of_ours() -> None:
    with own_namespace():
        kernel = Kernel()
        can = probe(kernel)
        assert kernel.sas() == [] and kernel.policies() == []
        kernel.close()
    assert can.esp == can.encap == {4, 6}
    assert can.suites == set(USUAL_SUITES)
    assert Means.TAKE in can.means
    assert can.shows_keys


GOOD = KernelCan(True, frozenset({4}), frozenset({4}), frozenset({"aes128gcm16"}), Means.TAKE, False, True)


def test_settings_that_stand_in_the_way_are_told_with_the_fix_and_not_changed() -> None:
    values = {"net.ipv4.conf.all.disable_xfrm": "1\n", "net.ipv4.ip_forward": "0\n", "net.ipv4.ip_no_pmtu_disc": "0\n"}
    bad = [each for each in findings(GOOD, values.get) if not each.good]
    assert [each.fix for each in bad] == [
        "sysctl -w net.ipv4.conf.all.disable_xfrm=0",
        "sysctl -w net.ipv4.ip_forward=1",
    ]
    assert "nothing is encrypted" in bad[0].text
    assert [each.grade for each in bad] == [Grade.FAIL, Grade.WARN]


def test_every_setting_passes_with_its_own_fix_and_none_is_asked_for_that_is_not_there() -> None:
    bad = dict.fromkeys(("net.ipv4.conf.all.disable_policy", "net.ipv4.conf.all.rp_filter"), "1")
    bad |= {"net.core.xfrm_larval_drop": "0", "net.core.xfrm_acq_expires": "3600", "net.ipv4.tcp_mtu_probing": "0"}
    told = [each for each in findings(GOOD, bad.get) if each.fix]
    fixed = dict(each.fix.removeprefix("sysctl -w ").split("=") for each in told)
    assert fixed.keys() == bad.keys()
    assert fixed["net.ipv4.conf.all.rp_filter"] == "2", "loose, not off"
    assert all(each.good for each in findings(GOOD, fixed.get))
    assert all(each.good for each in findings(GOOD, {"net.ipv4.ip_forward": "?"}.get))


SELECTOR = Selector(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
OURS = Policy(PolicyKey(Dir.OUT, SELECTOR), Action.BLOCK, priority_of(SELECTOR, Action.BLOCK))
WIDER = Selector(ip_network("0.0.0.0/0"), SELECTOR.destination)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, True),
        ({"action": Action.BLOCK}, True),
        ({"key": PolicyKey(Dir.OUT, WIDER)}, True),
        ({"priority": OURS.priority + 1}, False),
        ({"key": PolicyKey(Dir.IN, SELECTOR)}, False),
        ({"key": PolicyKey(Dir.OUT, SELECTOR.reversed())}, False),
    ],
)
def test_a_policy_of_somebody_else_that_is_asked_before_ours_is_named(changes: dict[str, Any], told: bool) -> None:
    theirs = Policy(PolicyKey(Dir.OUT, SELECTOR), Action.PASS, 100)._replace(**changes)
    found = list(in_front([PolicySeen(OURS, 1), PolicySeen(theirs, 2)]))
    assert [each.grade for each in found] == [Grade.WARN] * told
    if told:
        assert f"{theirs.key.selector}, priority 100, {theirs.action.value}" in found[0].text
        assert "priority of 48120 or more" in found[0].fix
    assert list(in_front([PolicySeen(theirs, 2)])) == [], "nothing of ours is behind it"


@pytest.mark.skipif(os.geteuid() != 0, reason="netlink needs root")
def test_the_doctor_finds_it_in_a_kernel() -> None:
    with own_namespace():
        kernel = Kernel()
        assert kernel.run([PutPolicy(OURS, fresh=True)], {}).refusals == {}
        words = f"src {WIDER.source} dst {WIDER.destination} dir out action allow priority 7"
        subprocess.run(["ip", "xfrm", "policy", "add", *words.split()], check=True)
        (found,) = in_front(kernel.policies())
        kernel.close()
    assert f"out {WIDER}, priority 7, pass" in found.text


def test_the_doctor_speaks() -> None:
    done = subprocess.run([sys.executable, "-m", "mobike.cli", "doctor"], check=True, capture_output=True, text=True)
    assert "kernel" in done.stdout
