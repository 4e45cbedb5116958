"""Orders about connections, drains of a link and of the gateway, and what happens when events do not tell of each."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mobike.facade import ConnectionView, EventView, Refused
from mobike_api.operations import Operations
from tests.api.house import BORN, House, a_house, a_sa
from tests.api.test_operations import AT, asking, counts, ended, ordered, until


@dataclass
class Offices(House):
    """Connections that come up, go down, leave and come back, as ordered; `locked` does not."""

    locked: str = "nobody"
    silent: bool = False

    def up(self, connection: str) -> None:
        super().up(connection)
        if connection == self.locked:
            self.say("connect-failed", "Cannot connect: no answer", connection)
        elif self.known[connection].state != "up":
            self.know(connection, state="up", ike_sas=1)
            self.say("sa-up", "IKE SA is up", connection)

    def down(self, connection: str) -> None:
        super().down(connection)
        was = self.known[connection].ike_sas
        self.know(connection, state="down", ike_sas=0)
        for _ in range(was):
            self.say("sa-down", "IKE SA is down: the operator took the connection down", connection)

    def away(self, connection: str, span_s: int) -> None:
        super().away(connection, span_s)
        if connection == self.locked:
            self.say("away-refused", "Cannot be away: the peer does not know how", connection)
            return
        self.become(connection, "away")
        self.say("away", "We are away", connection)

    def back(self, connection: str) -> None:
        super().back(connection)
        self.become(connection, "established")
        self.say("moved", "Moved", connection)

    def know(self, connection: str, *, state: str, ike_sas: int) -> None:
        self.known[connection] = replace(self.known[connection], state=state, ike_sas=ike_sas)

    def become(self, connection: str, state: str) -> None:
        for sa in self.sas.values():
            if sa.connection == connection:
                self.sas[sa.id] = replace(sa, state=state)

    def say(self, kind: str, text: str, connection: str) -> None:
        if not self.silent:
            self.seq += 1
            self.ring.append(EventView(self.seq, BORN, kind, "1", connection, text, {}))
            self.bell.set()


def offices() -> Offices:
    house = Offices(sas={"1": a_sa(1, "office"), "2": a_sa(2, "voice")})
    house.known |= {"voice": ConnectionView("voice", "initiator", "up", 1, None)}
    return house


@pytest.mark.parametrize("silent", [False, True], ids=["told", "untold"])
@pytest.mark.parametrize(
    ("order", "more", "heard"),
    [
        ("up", {}, ["up office", "up lab", "up voice"]),
        ("down", {}, ["down office", "down lab", "down roadwarriors", "down voice"]),
        ("away", {"span_s": 3600}, ["away office 3600", "away voice 3600"]),
        ("back", {}, ["back office", "back voice"]),
    ],
)
async def test_an_order_reaches_every_connection_that_it_fits(
    order: str, more: dict[str, Any], heard: list[str], silent: bool
) -> None:
    """Told or not: a look shows it too."""
    house = offices()
    house.silent = silent
    async with asking(house, Operations(house, patience_s=1.0)) as api:
        told = await ordered(api, order=order, **more)
    assert counts(told) == ("done", len(heard), len(heard), 0, 0)
    assert house.orders == heard


async def test_one_connection_can_be_meant_and_one_that_is_not_there_is_not_found() -> None:
    house = offices()
    async with asking(house) as api:
        told = await ordered(api, order="up", select={"connection": "lab"})
        assert (counts(told), house.orders) == (("done", 1, 1, 0, 0), ["up lab"])
        answer = await api.post(AT, json={"order": "up", "select": {"connection": "nobody"}})
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("order", "more", "why"),
    [
        ("up", {}, "Cannot connect: no answer"),
        ("away", {"span_s": 60}, "Cannot be away: the peer does not know how"),
    ],
)
async def test_a_connection_that_does_not_obey_has_failed(order: str, more: dict[str, Any], why: str) -> None:
    house = offices()
    house.locked = "office"
    house.know("office", state="down" if order == "up" else "up", ike_sas=int(order != "up"))
    async with asking(house) as api:
        told = await ordered(api, order=order, select={"connection": "office"}, **more)
    assert told["failures"] == [{"target": "office", "why": why}]


@dataclass
class Crowd(House):
    """All move at once, and the daemon tells of one and counts the others; `stuck` stay."""

    stuck: frozenset[str] = frozenset()
    avoided: list[str] = field(default_factory=list)

    def avoid(self, link: str, *, avoid: bool) -> None:
        super().avoid(link, avoid=avoid)
        for sa in self.sas.values():
            if sa.id not in self.stuck:
                self.sas[sa.id] = replace(sa, local="198.51.100.20:4500")
        self.seq += 1
        text = "The same (moved) for 5 more SAs"
        self.ring.append(EventView(self.seq, BORN, "moved", None, "office", text, {"sas": 5}))
        self.bell.set()

    def drain(self, to: Any) -> None:
        if "elsewhere!" in to:
            raise Refused("'elsewhere!' is no gateway", field="to")
        super().drain(to)


async def test_draining_a_link_is_done_when_nobody_uses_it() -> None:
    house = Crowd(sas=a_house(6).sas)
    house.sas["6"] = replace(house.sas["6"], local="198.51.100.20:4500")
    async with asking(house) as api:
        told = await ordered(api, order="drain-link", link="wlan0", select=None)
    assert counts(told) == ("done", 5, 5, 0, 0)
    assert house.orders == ["avoid wlan0"]


async def test_who_cannot_leave_a_link_is_named() -> None:
    house = Crowd(sas=a_house(3).sas, stuck=frozenset("2"))
    async with asking(house, Operations(house, patience_s=0.3)) as api:
        told = await ordered(api, order="drain-link", link="wlan0", select=None)
    assert counts(told) == ("done", 3, 2, 1, 0)
    assert told["failures"] == [{"target": "2", "why": "it is still on wlan0"}]


async def test_draining_the_gateway_is_followed_until_its_peers_have_gone() -> None:
    house = Crowd(sas=a_house(4).sas)
    house.sas |= {sa: replace(house.sas[sa], role="responder") for sa in "123"}
    async with asking(house) as api:
        answer = await api.post(AT, json={"order": "drain", "to": ["192.0.2.99", "gw2.example.net"]})
        location = answer.headers["location"]
        await until(api, location, lambda told: bool(told["waiting"] == 3))
        assert house.orders == ["drain 192.0.2.99 gw2.example.net"]
        del house.sas["1"], house.sas["2"]
        house.tell("sa-down", "IKE SA is down: it went on", sa="1")
        # An event that was missed: a look finds that 2 has gone too.
        house.tell("dropped", "1 event is no longer kept")
        await until(api, location, lambda told: bool(told["done"] == 2))
        del house.sas["3"]
        house.tell("sa-down", "IKE SA is down: it went on", sa="3")
        told = await until(api, location, ended)
    assert counts(told) == ("done", 3, 3, 0, 0)


async def test_a_drain_to_nowhere_is_refused_at_once() -> None:
    house = Crowd(sas=a_house(1).sas)
    async with asking(house) as api:
        answer = await api.post(AT, json={"order": "drain", "to": ["elsewhere!"]})
        assert (answer.status_code, answer.json()["pointer"]) == (409, "#/to")
        assert (await api.get(AT)).json() == {"items": []}


async def test_events_that_were_missed_do_not_fail_a_move() -> None:
    house = a_house(3)
    house.tell = lambda *_, **__: None  # type: ignore[method-assign]
    async with asking(house, Operations(house, patience_s=0.2)) as api:
        told = await ordered(api, order="move", local="198.51.100.20")
    assert counts(told) == ("done", 3, 3, 0, 0)


async def test_nothing_of_an_operation_is_left_when_the_daemon_stops() -> None:
    house = a_house(3)
    before = asyncio.all_tasks()
    async with asking(house) as api:
        await api.post(AT, json={"order": "rekey", "select": {}})
        await asyncio.sleep(0.05)
        assert house.open_streams == 1
    assert asyncio.all_tasks() == before
    assert house.open_streams == 0
