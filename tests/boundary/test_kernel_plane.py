"""A data plane outside of the core: orders with sealed keys out, words in."""

import copy
import gc
import os
import pickle
import shutil
import subprocess
import sys
from ipaddress import IPv4Address

import pytest

from mobike import _core
from mobike.address import ChildId, Nanos, Token
from mobike.commands import (
    SECOND,
    ChildInstalled,
    ChildRefused,
    ChildRemoved,
    ChildSpent,
    ChildWorn,
    Connect,
    PeerMapped,
    SetProfile,
    Traffic,
)
from mobike.dataplane.operations import InstallChild, RemoveChild, Sends
from mobike.events import ChildUp, IkeSaUp, PlaneRefused, Role
from tests.boundary.ends import GATEWAY, PHONE
from tests.boundary.test_sim_core import HERE, THERE, exchange, path

NOW = Nanos(1)
KEY = 32 + 4
"""Octets of AES-256 and its salt."""


def waiting(seed: int = 1) -> tuple[_core.SimCore, _core.SimCore, InstallChild]:
    """A phone and a gateway that has agreed on a Child SA and waits for its plane."""
    phone = _core.SimCore(seed=bytes([seed, 1] * 16))
    gateway = _core.SimCore(seed=bytes([seed, 2] * 16), plane="kernel", always_encap=False)
    gateway.submit([SetProfile(GATEWAY)], Nanos(0))
    phone.submit([SetProfile(PHONE)], Nanos(0))
    phone.submit([Connect(Token(1), PHONE.name, (path(HERE, THERE, 500),), 4500)], Nanos(0))
    exchange({HERE: phone, THERE: gateway}, NOW)
    up, order = gateway.take_events(10)
    assert isinstance(up, IkeSaUp) and isinstance(order, InstallChild) and order.sa == up.sa
    return phone, gateway, order


def test_an_order_has_all_that_a_plane_must_know_and_the_keys_are_sealed() -> None:
    phone, gateway, order = waiting()
    assert order.path == path(THERE, HERE) and not order.encap
    assert (order.role, order.sends, order.instead_of) == (Role.RESPONDER, Sends.AT_ONCE, None)
    assert order.suite.startswith("aes256gcm16") and order.local_ts == GATEWAY.local_ts
    assert 0 < order.volumes.soft_packets < order.volumes.hard_packets == (1 << 32) - 1
    keys = order.keys
    assert keys is not None and keys.lengths() == (KEY, 0)
    assert "keys" not in repr(order)
    for use in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="SealedKeys"):
            use(keys)
    assert not phone.has_events()
    gateway.submit([ChildInstalled(order.child)], NOW)
    exchange({HERE: phone, THERE: gateway}, NOW)
    (child,) = gateway.take_events(10)
    assert isinstance(child, ChildUp) and (child.child, child.spi_in) == (order.child, order.spi_in)
    assert gateway.told_by() == [(child, False, 1)], (
        "the IKE_AUTH that it was agreed in, though the plane had a say since"
    )
    assert [type(each) for each in phone.take_events(10)] == [IkeSaUp, ChildUp]


def test_keys_go_into_a_buffer_where_they_belong_and_are_wiped_by_order() -> None:
    keys = waiting()[2].keys
    assert keys is not None
    there, back = bytearray(b"." * (KEY + 8)), bytearray(b"." * (KEY + 8))
    keys.write(there, inbound=True, encryption_at=4)
    keys.write(back, inbound=False, encryption_at=4)
    assert there[:4] == there[-4:] == b"...." and there != back and b"...." not in there[4:-4]
    again = waiting()[2].keys
    assert again is not None
    same = bytearray(b"." * (KEY + 8))
    again.write(same, inbound=True, encryption_at=4)
    assert same == there, "the same seed makes the same keys"
    for wrong in ({"encryption_at": 9}, {"encryption_at": 1 << 63}, {"encryption_at": 0, "integrity_at": 0}):
        with pytest.raises(ValueError, match=r"too short|integrity"):
            keys.write(same, inbound=True, **wrong)
    assert same == there, "what was refused wrote nothing"
    keys.wipe()
    with pytest.raises(ValueError, match="wiped"):
        keys.write(same, inbound=True, encryption_at=4)
    with pytest.raises(ValueError, match="wiped"):
        keys.lengths()
    del keys, again
    gc.collect()


def test_what_is_refused_is_deleted_at_the_peer_and_told_to_nobody_above() -> None:
    phone, gateway, order = waiting()
    gateway.submit([ChildRefused(order.child, "no such cipher here")], NOW)
    exchange({HERE: phone, THERE: gateway}, NOW)
    told = gateway.take_events(10)
    assert told == [
        PlaneRefused(order.sa, f"Child SA {order.child:x} is not installed: no such cipher here"),
        RemoveChild(order.sa, order.child),
    ]
    assert gateway.told_by()[:1] == [(told[0], False, 1)]
    assert [type(each).__name__ for each in phone.take_events(10)] == ["IkeSaUp", "ChildUp", "ChildDown"]


def test_words_are_heard() -> None:
    phone, gateway, order = waiting()
    gateway.submit([ChildInstalled(order.child)], NOW)
    exchange({HERE: phone, THERE: gateway}, NOW)
    gateway.take_events(10)
    gateway.submit([Traffic(order.sa, heard=True, sent=True), ChildWorn(order.child)], NOW)
    exchange({HERE: phone, THERE: gateway}, NOW)
    (new,) = gateway.take_events(10)
    assert isinstance(new, InstallChild) and new.child != order.child and new.sends is Sends.AT_ONCE
    gateway.submit([ChildInstalled(new.child)], NOW)
    exchange({HERE: phone, THERE: gateway}, NOW)
    assert RemoveChild(order.sa, order.child) in gateway.take_events(10)
    gateway.submit([ChildRemoved(order.child)], NOW)
    gateway.submit([ChildSpent(new.child), ChildSpent(ChildId(1 << 40))], NOW)
    assert exchange({HERE: phone, THERE: gateway}, NOW) == [], "the peer hears of it when it is gone"
    gateway.submit([ChildRemoved(new.child)], NOW)
    exchange({HERE: phone, THERE: gateway}, NOW)
    assert sum(isinstance(each, InstallChild) for each in gateway.take_events(10)) == 1
    before = gateway.counters()["ike_repairs_begun"]
    gateway.submit([PeerMapped(order.sa, path(THERE, IPv4Address("192.0.2.99")))], Nanos(10 * SECOND))
    assert gateway.counters()["ike_repairs_begun"] == before, "there is no NAT that could have forgotten the peer"


WITHOUT_RIGHTS = """
from mobike import _core
try:
    _core.Core(listen=["127.0.3.9"], ike_port=20123, natt_port=20124, plane="kernel")
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root cannot give up its rights")
def test_without_the_right_to_use_the_kernels_ipsec_the_error_says_what_to_do() -> None:
    drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"] if os.geteuid() == 0 else []
    argv = [*drop, sys.executable, "-c", WITHOUT_RIGHTS]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "127.0.3.9:20123" in said and "it needs CAP_NET_ADMIN: run as root" in said


def test_the_kernel_plane_takes_no_streams() -> None:
    with pytest.raises(ValueError, match="carries no streams"):
        _core.Core(listen=["127.0.3.9"], ike_port=20123, natt_port=20124, plane="kernel", tcp=True)
