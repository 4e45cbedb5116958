"""Thousands of SAs at once on a running gateway: they come, all move, all go; and nothing of them stays.

`MOBIKE_SOAK=N` runs it with N SAs for ten rounds.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from statistics import median

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike.address import Endpoint, Generation, SaId, Token
from mobike.address import Path as NetPath
from mobike.commands import SECOND, Close, Command, Connect, Move, RemoveProfile, Retransmit, SetProfile
from mobike.events import ChildUp, ConnectFailed, IkeSaDown, IkeSaUp, Moved
from tests.cli.ends import until
from tests.gateway.rig import CLIENT, GATEWAY_IP, Client, Gateway, client, gateway

SOAK = int(os.environ.get("MOBIKE_SOAK", "0"))
COUNT = SOAK or 2_000
ROUNDS = 10 if SOAK else 3
WINDOW = 128
"""SAs that are set up at a time."""
PAGE_S = 0.25
"""A page of 100 while the fleet comes and moves: on two idle cores 15 ms, 50 at most; tests run on busy ones."""
STALL_S = 2.0
"""No reader waits so long, however busy the machine."""
LEAK = 4 << 20
"""Bytes by which memory may differ after a round from the round before: a leak of 2 KiB an SA would show."""
LIMITS = f"cookie_threshold = 1000\nmax_half_open = 4096\nmax_ike_sas = {max(65_536, 2 * COUNT)}"
FIRST, SECOND_HOME = "127.0.31.1", "127.0.31.2"
FLEET = replace(
    CLIENT, initial_contact=False, liveness=0, retransmit=Retransmit(initial=SECOND, give_up_initiator=60 * SECOND)
)


class Fleet:
    """Clients by the thousand, in one core."""

    def __init__(self, core: Client, gateway: Gateway) -> None:
        self._client = core
        self._gateway = gateway
        self._generation = 0
        self.sas: set[SaId] = set()

    def set_up(self) -> None:
        target = (self._gateway.ike, self._gateway.natt)
        begun, up, children = 0, 0, 0
        while children < COUNT:
            orders: list[Command] = []
            while begun < COUNT and begun - up < WINDOW:
                name = f"c{begun}"
                profile = replace(FLEET, name=name, local_id=f"u{begun}@example.net")
                path = self._client.path_to(GATEWAY_IP, target)
                orders += [SetProfile(profile), Connect(Token(begun), name, (path,), target[1])]
                begun += 1
            for event in self._turn(orders):
                match event:
                    case IkeSaUp():
                        up += 1
                        self.sas.add(event.sa)
                    case ChildUp():
                        children += 1
                    case ConnectFailed() | IkeSaDown():
                        raise AssertionError(event)
                    case _:
                        pass
        assert (up, len(self.sas)) == (COUNT, COUNT)

    def move_all(self, to: str) -> None:
        """All at once, as when a network goes down."""
        self._generation += 1
        path = NetPath(
            Endpoint(ip_address(to), self._client.ports[1]), Endpoint(ip_address(GATEWAY_IP), self._gateway.natt)
        )
        orders: list[Command] = [Move(sa, path, Generation(self._generation), None) for sa in sorted(self.sas)]
        moved: set[SaId] = set()
        while moved != self.sas:
            for event in self._turn(orders):
                assert not isinstance(event, IkeSaDown), event
                if isinstance(event, Moved):
                    assert event.sa not in moved
                    moved.add(event.sa)
            orders = []

    def delete_all(self) -> None:
        orders: list[Command] = [Close(sa, "the day is over") for sa in sorted(self.sas)]
        orders += [RemoveProfile(f"c{number}") for number in range(COUNT)]
        while self.sas:
            for event in self._turn(orders):
                if isinstance(event, IkeSaDown):
                    self.sas.remove(event.sa)
            orders = []

    def _turn(self, orders: list[Command]) -> list[object]:
        if orders:
            self._client.core.submit(orders)
        self._client.wait_readable()
        return list(self._client.core.take_events(4096))


@contextmanager
def pages(one: Gateway) -> Iterator[list[float]]:
    """Somebody who reads the whole list of SAs again and again; how long each page took, in seconds."""
    took: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with one.end.api() as api:
            after: dict[str, str] = {}
            while not stop.is_set():
                began = time.perf_counter()
                page = api.get("/api/v1/ike-sas", params={"limit": 100, **after}).raise_for_status().json()
                took.append(time.perf_counter() - began)
                after = {"after": page["after"]} if page["after"] else {}
                stop.wait(0.02)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()


def test_a_fleet_comes_moves_and_goes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    memory: list[int] = []
    with gateway(tmp_path, limits=LIMITS, more='liveness = "0"') as one:
        with client(FIRST, SECOND_HOME, inner="none", plane="null", max_sas=2 * COUNT) as core:
            fleet = Fleet(core, one)
            for _ in range(ROUNDS):
                with pages(one) as took:
                    _round(one, fleet)
                assert median(took) < PAGE_S, sorted(took)
                assert max(took) < STALL_S, sorted(took)
                memory.append(one.rss())
        # The first round makes room that is kept; from then on nothing grows.
        assert max(memory[2:]) - memory[1] < LEAK, memory
        with client("127.0.32.1") as late:
            up = late.connect(GATEWAY_IP, (one.ike, one.natt))
            assert up.virtual_ips == (ip_address("10.99.0.1"),), "every lease is free again"
            late.ping()
        counted = one.counters()
        total = ROUNDS * COUNT
        assert counted["ike_sas_down"] == counted["ike_children_down"] == counted["ike_updates_taken"] == total
        assert counted["ike_half_open_expired"] == counted["ike_notices_suppressed"] == 0
        one.is_well()


def _round(one: Gateway, fleet: Fleet) -> None:
    fleet.set_up()
    until(lambda: _total(one) == COUNT, "the list is complete")
    assert one.counters()["esp_children"] == COUNT
    fleet.move_all(SECOND_HOME)
    until(lambda: _homes(one) == {SECOND_HOME}, "the gateway has followed all")
    fleet.delete_all()
    until(lambda: _total(one) == 0, "the list is empty")
    until(lambda: one.counters()["esp_children"] == 0, "no Child SA is left")


def _total(one: Gateway) -> int:
    total: int = one.get("ike-sas?limit=1")["total"]
    return total


def _homes(one: Gateway) -> set[str]:
    homes: set[str] = set()
    after = ""
    while True:
        page = one.get(f"ike-sas?limit=1000{after}")
        homes |= {sa["remote"].split(":")[0] for sa in page["items"]}
        if not page["after"]:
            return homes
        after = f"&after={page['after']}"
