"""Who had which inner address: what is written down, and what the core is told at start."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from mobike.address import Endpoint, SaId
from mobike.address import Path as NetPath
from mobike.commands import SECOND, Remember
from mobike.events import IkeSaDown, IkeSaResumed, IkeSaUp, Nat, Role
from mobike.gateway.leases import AGAIN_S, Leases
from mobike.store import Lease, Store

HOUR = 3600 * SECOND
PATH = NetPath(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.9"), 4500))
V4, V6 = ip_address("10.9.0.1"), ip_address("fd00:9::1")


def up(sa: int, peer: str = "ann", connection: str = "rw", role: Role = Role.RESPONDER) -> IkeSaUp:
    return IkeSaUp(SaId(sa), None, connection, role, PATH, Nat.NONE, peer, True, (), (V4, V6), 1, 2, "suite")


def both(peer: str, seen: float, connection: str = "rw") -> list[Lease]:
    return [Lease(connection, peer, ip, seen) for ip in (V4, V6)]


def test_a_lease_is_written_when_it_begins_and_when_it_ends_and_now_and_then_between() -> None:
    leases = Leases({"rw": HOUR})
    assert leases.changed(AGAIN_S) == []
    leases.see([up(1)])
    assert leases.changed(AGAIN_S + 1) == both("ann", AGAIN_S + 1)
    assert leases.changed(AGAIN_S + 2) == []
    assert leases.changed(2 * AGAIN_S) == both("ann", 2 * AGAIN_S)
    leases.see([IkeSaDown(SaId(1), "gone")])
    assert leases.changed(2 * AGAIN_S + 1) == both("ann", 2 * AGAIN_S + 1)
    assert leases.changed(9 * AGAIN_S) == []


def test_what_is_in_use_at_the_end_is_written_and_so_is_what_was_resumed() -> None:
    leases = Leases({"rw": HOUR})
    leases.see([IkeSaResumed(up(1), True, True, b"")])
    leases.changed(AGAIN_S)
    assert leases.changed(AGAIN_S + 1, everything=True) == both("ann", AGAIN_S + 1)


def test_only_leases_of_ours_from_sticky_pools_are_written() -> None:
    leases = Leases({"rw": HOUR, "other": 0})
    leases.see([up(1, connection="other"), up(2, role=Role.INITIATOR), up(3, peer="x" * 256), up(4, connection="new")])
    assert leases.changed(AGAIN_S, everything=True) == []


def test_a_write_that_failed_is_tried_again_but_for_what_changed_since() -> None:
    leases = Leases({"rw": HOUR})
    leases.see([up(1)])
    lost = leases.changed(1.0)
    leases.see([IkeSaDown(SaId(1), "gone")])
    leases.unwritten([*lost, Lease("rw", "bob", V4, 1.0)])
    assert sorted(leases.changed(2.0), key=str) == sorted([*both("ann", 2.0), Lease("rw", "bob", V4, 2.0)], key=str)


def test_the_core_is_reminded_of_what_is_not_too_old_the_latest_last() -> None:
    leases = Leases({"rw": HOUR, "short": SECOND})
    known = [
        Lease("rw", "new", V4, 999.0),
        Lease("rw", "old", V6, 10.0),
        Lease("short", "late", V4, 990.0),
        Lease("gone", "who", V4, 999.0),
        Lease("rw", "tomorrow", V4, 2000.0),
    ]
    assert leases.reminders(known, 1000.0) == [
        Remember("rw", "old", V6, 990 * SECOND),
        Remember("rw", "new", V4, SECOND),
        Remember("rw", "tomorrow", V4, 0),
    ]
    assert leases.longest_s == 3600.0


@pytest.mark.parametrize("version", [1, 3])
def test_the_store_keeps_them_and_an_older_store_learns_how(tmp_path: Path, version: int) -> None:
    file = tmp_path / "sas.db"
    store = Store(file)
    if version == 1:
        store._base.executescript("DROP TABLE leases; DROP TABLE accounts; DROP TABLE kept; PRAGMA user_version = 1;")
        store.close()
        store = Store(file)
    store.write_leases([Lease("rw", "ann", V4, 5.0), Lease("rw", "ann", V6, 6.0), Lease("rw", "bob", V4, 1.0)])
    store.write_leases([Lease("rw", "ann", V4, 7.0)])
    store.close()
    store = Store(file)
    assert sorted(store.leases(2.0), key=str) == [Lease("rw", "ann", V4, 7.0), Lease("rw", "ann", V6, 6.0)]
    assert len(store.leases(0.0)) == 2, "the old one is gone"
    store.close()
