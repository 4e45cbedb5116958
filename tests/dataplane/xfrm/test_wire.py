"""Octets: as iproute2 sends them, and as this machine's kernel shows what it was sent."""

from __future__ import annotations

import errno
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.dataplane.operations import Volumes
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.answers import AnswersLostError
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.read import (
    Acquire,
    Expired,
    MappingChanged,
    answer_of,
    messages,
    news_of,
    policy_of,
    sa_of,
)
from mobike.dataplane.xfrm.selectors import Lane, Mark, Ports, Selector, outbound_selectors
from mobike.dataplane.xfrm.state import (
    OUR_REQIDS,
    Action,
    Counters,
    Encap,
    Policy,
    PolicyKey,
    Sa,
    SaKey,
    SaName,
    Template,
    priority_of,
)
from mobike.dataplane.xfrm.steps import DropPolicy, Migrate, PutPolicy, Read
from mobike.dataplane.xfrm.suites import EVERY_AEAD, EVERY_PAIR, suite_of
from mobike.dataplane.xfrm.uapi import Attr, Dir, Msg
from mobike.dataplane.xfrm.wire import Batch, no_keys

from . import vectors
from .lab import SameKeys, own_namespace

REQID = OUR_REQIDS.start
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="policies are set as root")


def body_and_attributes(octets: bytes, body: int) -> tuple[bytes, dict[int, bytes]]:
    """Attributes have no order."""
    view, found = octets[body:], {}
    while len(view) >= 4:
        size, kind = uapi.NLATTR.unpack_from(view)
        found[kind] = view[4:size]
        view = view[size + -size % 4 :]
    return octets[:body], found


def counting(buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None:
    """Keys that go 00 01 .. 09 10 .., as the captured ones do."""
    for at, length in ((encryption_at, 16 if integrity_at else 20), (integrity_at, 32)):
        if at is not None:
            buffer[at : at + length] = bytes(number // 10 * 16 + number % 10 for number in range(length))


def _some_keys(lengths: tuple[int, int], buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None:
    SameKeys(lengths).write(buffer, inbound=True, encryption_at=encryption_at, integrity_at=integrity_at)


def one(batch: Batch) -> bytes:
    (message,) = messages(bytes(batch.buffer))
    return bytes(message.body)


def batch() -> Batch:
    return Batch(knows_direction=False)


WEB = Selector(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"), 6, Ports(), Ports(443, 0xFFFF))
SIX = PolicyKey(
    Dir.FWD,
    Selector(ip_network("2001:db8:1::/48"), ip_network("2001:db8:2::/64"), lane=Lane(7, Mark(3, 255))),
)


def test_policies_are_written_as_iproute2_writes_them() -> None:
    ends = Template(REQID, ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    written = batch()
    written.put_policy(Policy(PolicyKey(Dir.OUT, WEB), Action.PROTECT, 48_000, ends), fresh=True)
    assert one(written) == vectors.POLICY_ADD
    written = batch()
    written.put_policy(Policy(SIX, Action.BLOCK, 46_000), fresh=False)
    size = uapi.USERPOLICY_INFO.size
    assert body_and_attributes(one(written), size) == body_and_attributes(vectors.POLICY_UPDATE, size)
    written = batch()
    written.delete_policy(SIX)
    size = uapi.USERPOLICY_ID.size
    assert body_and_attributes(one(written), size) == body_and_attributes(vectors.POLICY_DELETE, size)


FOUR = (ip_address("10.0.0.1"), ip_address("10.0.0.2"))
AEAD = Sa(
    False, 0x1000, *FOUR, REQID, suite_of("aes128gcm16"), Encap(4500, 4501), Volumes(soft_bytes=1000, hard_packets=77)
)
PAIR = Sa(
    False, 0x1001, ip_address("2001:db8::1"), ip_address("2001:db8::2"), REQID, suite_of("aes128-sha256"), None,
    interface=9, output_mark=Mark(5, 7),
)  # fmt: skip


@pytest.mark.parametrize(("sa", "captured"), [(AEAD, vectors.AEAD_ADD), (PAIR, vectors.PAIR_ADD)])
def test_sas_are_written_as_iproute2_writes_them(sa: Sa, captured: bytes) -> None:
    written = batch()
    written.new_sa(sa, counting)
    body, attributes = body_and_attributes(one(written), uapi.USERSA_INFO.size)
    expected, theirs = body_and_attributes(captured, uapi.USERSA_INFO.size)
    assert body == expected
    del attributes[Attr.REPLAY_ESN_VAL]  # iproute2 leaves a window of 0, and cannot count further than 32 bits
    assert attributes == theirs


def test_an_sa_is_removed_by_what_names_it() -> None:
    written = batch()
    written.delete_sa(AEAD)
    body, _ = body_and_attributes(vectors.STATE_DELETE, uapi.USERSA_ID.size)
    assert one(written) == body


@pytest.mark.parametrize("knows_direction", [False, True])
@pytest.mark.parametrize("suite", [*EVERY_AEAD, *EVERY_PAIR, "aes256gcm16-esn", "aes128-sha1-esn"])
@pytest.mark.parametrize("inbound", [False, True])
def test_what_is_written_of_an_sa_is_read_again(suite: str, inbound: bool, knows_direction: bool) -> None:
    sa = Sa(inbound, 0xDEAD_BEEF, *FOUR, REQID, suite_of(suite), Encap(1, 65_535), Volumes(1, 2, 3, 4), 5, Mark(6, 7))
    counters = Counters(0 if inbound else 2**32 - 9, 77 if inbound else 0, (1, 2, 3, *(0,) * 29) if inbound else ())
    written = Batch(knows_direction=knows_direction)
    keys = functools.partial(_some_keys, sa.suite.lengths)
    written.new_sa(sa, keys, counters)
    seen = sa_of(memoryview(one(written)))
    assert seen is not None
    assert seen.sa == sa
    assert seen.counters == counters
    assert seen.ours
    assert not seen.keys_hidden


def test_hidden_keys_are_noticed() -> None:
    written = batch()
    written.new_sa(AEAD, no_keys)
    seen = sa_of(memoryview(one(written)))
    assert seen is not None and seen.keys_hidden


def test_a_batch_is_overwritten_after_it_was_sent() -> None:
    written = batch()
    written.new_sa(AEAD, counting)
    kept = memoryview(written.buffer)
    copy = kept.tobytes()
    kept.release()
    assert bytes(range(1, 9)) in copy
    written.wipe()
    assert written.buffer == b"" and written.owners == []


def test_news_of_the_kernel_are_read() -> None:
    written = batch()
    written.new_sa(AEAD, counting)
    expire = uapi.USER_EXPIRE.pack(one(written)[: uapi.USERSA_INFO.size], 1)
    key = SaKey(FOUR[1], 0x1000)
    assert news(Msg.EXPIRE, expire) == [Expired(key, REQID, hard=True)]
    named = vectors.STATE_DELETE[: uapi.USERSA_ID.size]
    source = ip_address("192.0.2.77").packed + bytes(12)
    mapping = named + uapi.USER_MAPPING.pack(bytes(16), 0, 0, 0, REQID, bytes(16), source, 0, uapi.be16(4567))[24:]
    assert news(Msg.MAPPING, mapping) == [MappingChanged(key, REQID, ip_address("192.0.2.77"), 4567)]
    selector = vectors.POLICY_ADD[: uapi.SELECTOR.size]
    template = vectors.POLICY_ADD[uapi.USERPOLICY_INFO.size :]
    acquire = bytes(40) + selector + bytes(168 + 16) + template
    assert news(Msg.ACQUIRE, acquire) == [Acquire(REQID, WEB)]


def news(kind: int, body: bytes) -> list[object]:
    octets = uapi.NLMSGHDR.pack(uapi.NLMSGHDR.size + len(body), kind, 0, 0, 0) + body
    return [news_of(message) for message in messages(octets)]


@given(st.binary(max_size=600), st.sampled_from([*Msg, uapi.NLMSG_ERROR, uapi.NLMSG_DONE]))
def test_nothing_that_comes_in_is_an_error(body: bytes, kind: int) -> None:
    octets = uapi.NLMSGHDR.pack(uapi.NLMSGHDR.size + len(body), kind, 0x300, 1, 0) + body
    for message in messages(octets):
        news_of(message)
        sa_of(message.body)
        policy_of(message.body)
        if len(message.body) >= 4 + uapi.NLMSGHDR.size:
            answer_of(message)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """This machine's own, in a namespace that is left afterwards."""
    with own_namespace():
        made = Kernel()
        try:
            yield made
        finally:
            made.close()


@needs_root
def test_this_kernel_shows_the_policies_that_it_was_told(kernel: Kernel) -> None:
    selectors = outbound_selectors(
        ["10.1.0.0/16[tcp/80-443]", "2001:db8::/32"], ["10.2.0.1-10.2.0.9", "2001:db8:9::/48"]
    )
    wanted = {}
    for selector in selectors:
        for direction, template in ((Dir.OUT, Template(REQID, *FOUR)), (Dir.IN, Template(REQID)), (Dir.FWD, None)):
            key = PolicyKey(direction, selector if direction is Dir.OUT else selector.reversed())
            action = Action.PROTECT if template else Action.BLOCK
            wanted[key] = Policy(key, action, priority_of(selector, action), template)
    steps = [PutPolicy(policy, fresh=True) for policy in wanted.values()]
    assert len(steps) > 64, "more than one send"
    assert kernel.run(steps, {}).refusals == {}
    assert {seen.policy.key: seen.policy for seen in kernel.policies()} == wanted
    assert all(seen.ours for seen in kernel.policies())
    refused = kernel.run(steps[:3], {}).refusals
    assert {place: refusal.error for place, refusal in refused.items()} == dict.fromkeys(range(3), errno.EEXIST)
    assert kernel.run([DropPolicy(key) for key in wanted], {}).refusals == {}
    assert kernel.policies() == []


@needs_root
def test_iproute2_and_we_read_each_others_policies(kernel: Kernel) -> None:
    ours = Policy(PolicyKey(Dir.OUT, WEB), Action.PROTECT, 48_000, Template(REQID, *FOUR))
    kernel.run([PutPolicy(ours, fresh=True)], {})
    theirs = "src 10.9.0.0/16 dst 10.8.0.0/16 dir in action block priority 9"
    subprocess.run(["ip", "xfrm", "policy", "add", *theirs.split()], check=True)
    shown = subprocess.run(["ip", "xfrm", "policy"], check=True, capture_output=True, text=True).stdout
    assert "src 10.1.0.0/16 dst 10.2.0.0/16 proto tcp dport 443" in shown
    assert "tmpl src 10.0.0.1 dst 10.0.0.2\n\t\tproto esp reqid 1296171008 mode tunnel" in shown
    foreign = next(seen for seen in kernel.policies() if not seen.ours)
    assert foreign.policy.action is Action.BLOCK
    assert str(foreign.policy.key.selector) == "10.9.0.0/16 -> 10.8.0.0/16"


@needs_root
def test_an_overflow_of_answers_is_noticed_and_the_next_ones_are_read_in_order(kernel: Kernel) -> None:
    policy = PutPolicy(Policy(SIX, Action.BLOCK, 46_000), fresh=True)
    assert kernel.run([policy], {}).refusals == {}
    kernel._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with pytest.raises(AnswersLostError, match="buffer"):
        kernel.run([policy] * 64, {})
    kernel._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for _ in range(3):
        assert kernel.run([policy], {}).refusals[0].error == errno.EEXIST
    assert kernel.run([DropPolicy(SIX)], {}).refusals == {}


def test_who_may_not_hears_it_in_words_from_the_kernel() -> None:
    code = (
        "from mobike.dataplane.xfrm.kernel import Kernel; from mobike.dataplane.xfrm.probe import probe;"
        "print(probe(Kernel()).why_not)"
    )
    argv = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        argv = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", *argv]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert "CAP_NET_ADMIN" in done.stdout + done.stderr


@needs_root
def test_the_policy_that_a_migration_needs_is_found_behind_ours(kernel: Kernel) -> None:
    """Kernels look for it by its selector, or, since 6.12, by a packet that would fit it: and ours fit all packets."""
    (everything,) = outbound_selectors(["0.0.0.0/0"], ["0.0.0.0/0"])
    blocks = [
        PutPolicy(Policy(PolicyKey(direction, everything), Action.BLOCK, priority_of(everything, Action.BLOCK)), True)
        for direction in Dir
    ]
    assert kernel.run(blocks, {}).refusals == {}
    for inbound in (False, True):
        was = Sa(inbound, 0x1000, FOUR[0], FOUR[1], REQID, suite_of("aes128gcm16"), None)
        moved = Sa(inbound, 0x1000, FOUR[1], FOUR[0], REQID, suite_of("aes128gcm16"), Encap(4500, 4500))
        assert kernel.run([Migrate(SaName(1, inbound), was, moved)], {}).refusals == {}
        absent = kernel.run([Read(SaName(1, inbound), moved)], {}).refusals
        assert absent[0].error == errno.ESRCH, "nothing was there, and the kernel was content"
    assert len(kernel.policies()) == len(blocks), "it is gone again"


@needs_root
def test_this_kernel_chooses_an_spi_or_says_in_words_why_not(kernel: Kernel) -> None:
    answer = kernel.ask(lambda written: written.allocate_spi(PAIR, 0x1000, 0x1FFF))
    assert answer.error in (0, errno.ENOENT, errno.EPROTONOSUPPORT), answer


@needs_root
def test_an_sa_passes_what_this_kernel_checks_before_it_looks_for_esp(kernel: Kernel) -> None:
    """Also where it wants to know which way an SA goes, and is strict about the window."""
    for kernel.knows_direction in (False, True):
        for inbound in (False, True):
            sa = Sa(inbound, 0x1000, *FOUR, REQID, suite_of("aes128-sha256-esn"), None)
            answer = kernel.ask(functools.partial(Batch.new_sa, sa=sa, keys=counting))
            assert answer.error in (0, errno.EPROTONOSUPPORT, errno.ENOENT, errno.ENOSYS), answer
