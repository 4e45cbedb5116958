"""What is logged of single peers: by address, identity, connection and IKE SA; for a while; within limits."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mobike._core", reason="needs the core: one of these is a real daemon")

import structlog
from structlog.typing import EventDict, WrappedLogger

from mobike.address import Endpoint, Generation, Nanos, SaId, Token
from mobike.address import Path as NetPath
from mobike.commands import Allow, Close, Connect
from mobike.config import LogFormat
from mobike.events import ConnectFailed, Event, IkeSaDown, Moved, Nat, Notice, PathChecked, Role
from mobike.facade import NotFound, Refused
from mobike.fleet import Note
from mobike.fleet.views import SessionRow
from mobike.gateway import logs
from mobike.gateway.attention import MOST_RULES, Attention
from mobike.gateway.chronicle import Chronicle
from mobike.gateway.journal import Journal
from tests.cli.ends import until
from tests.gateway.rig import GATEWAY_IP, client, gateway

HERE, THERE = IPv4Address("192.0.2.10"), IPv4Address("198.51.100.7")
PATH = NetPath(Endpoint(HERE, 4500), Endpoint(THERE, 4500))
OTHER = NetPath(Endpoint(HERE, 4500), Endpoint(IPv4Address("198.51.100.8"), 4500))
ROW = SessionRow(
    SaId(0x1F),
    "office",
    Role.RESPONDER,
    "established",
    PATH,
    Nat.NONE,
    "ann@example.net",
    True,
    "suite",
    1,
    2,
    (),
    Nanos(0),
    0,
)
SECRET = b"a horse nobody knows"


@dataclass
class Room:
    """Somebody to pay attention, and what was written."""

    now: float = 1000.0
    rows: dict[SaId, SessionRow] = field(default_factory=lambda: {SaId(0x1F): ROW})
    told: list[str] = field(default_factory=list)
    lines: list[EventDict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attention = Attention(self.rows.get, lambda _, text: self.told.append(text), clock=lambda: self.now)
        self.chronicle = Chronicle(Journal(), self.attention.level)

    def sees(self, *events: Event, commands: tuple[Any, ...] = ()) -> list[str]:
        """What of it was written."""
        self.lines.clear()
        self.attention.see(events, commands)
        return [line["event"] for line in self.lines]

    def notes(self, *notes: Note) -> list[str]:
        self.lines.clear()
        self.chronicle.write(notes)
        return [line["event"] for line in self.lines]


@pytest.fixture
def room() -> Iterator[Room]:
    logs.set_up("info", LogFormat.JSON)
    before = structlog.get_config()
    lines: list[EventDict] = []

    def catch(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        lines.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[before["processors"][0], catch], cache_logger_on_first_use=False)
    yield Room(lines=lines)
    structlog.configure(**before)


def checked(sa: int = 0x1F, path: NetPath = PATH) -> PathChecked:
    return PathChecked(SaId(sa), path, Generation(1), Nanos(5))


@pytest.mark.parametrize("peer", ["198.51.100.7", "ann@example.net", "office", "1f", "000000000000001f"])
def test_each_event_of_that_peer_is_a_line_and_of_others_none(room: Room, peer: str) -> None:
    assert room.sees(checked()) == []
    room.attention.set_rule(peer, "debug", 60, by="user 0")
    assert room.sees(checked(), checked(0x2F, OTHER)) == ["seen.path-checked"]
    assert room.lines[0]["sa"] == "000000000000001f"
    assert room.lines[0]["facts"]["path"] == str(PATH)
    assert room.sees(commands=(Close(SaId(0x1F), "why"), Close(SaId(0x2F), "why"))) == ["ordered.close"]


def test_strangers_are_known_by_what_they_claim_and_where_they_come_from(room: Room) -> None:
    room.attention.set_rule("198.51.100.8", "debug", 60, by="user 0")
    assert room.sees(Notice("no-proposal", "nothing fits", None, OTHER)) == ["seen.notice"]
    assert room.sees(ConnectFailed(Token(1), "nobody there", (PATH, OTHER))) == ["seen.connect-failed"]
    assert room.sees(commands=(Connect(Token(1), "office", (OTHER,), 4500),)) == ["ordered.connect"]


def test_one_that_ends_is_known_to_its_last_line(room: Room) -> None:
    room.attention.set_rule("ann@example.net", "debug", 60, by="user 0")
    room.sees(checked())
    room.rows.clear()
    assert room.sees(IkeSaDown(SaId(0x1F), "gone")) == ["seen.ike-sa-down"]
    assert room.sees(checked(path=OTHER)) == []


def test_octets_are_counted_and_not_shown(room: Room) -> None:
    room.attention.set_rule("office", "debug", 60, by="user 0")
    assert room.sees(commands=(Allow(SaId(0x1F), 1, SECRET),)) == ["ordered.allow"]
    assert SECRET.decode() not in str(room.lines)
    assert SECRET.hex() not in str(room.lines)


def test_what_is_quiet_is_told_of_that_peer_alone(room: Room) -> None:
    quiet = Note("child-up", "a Child SA", (), SaId(0x1F), "office")
    other = Note("child-up", "a Child SA", (), SaId(0x2F), "lab")
    assert room.notes(quiet, other) == []
    room.attention.set_rule("office", "debug", 60, by="user 0")
    assert room.notes(quiet, other) == ["child-up"]
    assert logs.WANTED not in room.lines[0]


def test_a_peer_that_is_noisy_may_be_told_of_less(room: Room) -> None:
    loud, fault = Note("moved", "it has moved", (), SaId(0x1F), "office"), Note("move-failed", "no", (), SaId(0x1F))
    assert room.notes(loud, fault) == ["moved", "move-failed"]
    room.attention.set_rule("office", "warning", 60, by="user 0")
    assert room.notes(loud, fault, Note("moved", "another", (), SaId(0x2F), "lab")) == ["move-failed", "moved"]


def test_it_is_over_by_itself(room: Room) -> None:
    rule = room.attention.set_rule("office", "debug", 60, by="user 0")
    assert (rule.made, rule.until) == (1000.0, 1060.0)
    room.now = 1059.0
    assert room.sees(checked()) == ["seen.path-checked"]
    room.now = 1060.0
    assert room.sees(checked()) == []
    assert room.attention.rules() == ()
    assert room.told == [
        "user 0: debug of office for 60 s",
        "office is logged like all others again: its time is over",
    ]


def test_the_same_peer_has_one_and_the_last_word_counts(room: Room) -> None:
    first = room.attention.set_rule("198.51.100.7", "debug", 60, by="user 0")
    second = room.attention.set_rule("198.51.100.7", "info", 600, by="bob")
    assert (second.id, second.until) == (first.id, 1600.0)
    assert room.attention.rules() == (second,)
    room.attention.end_rule(second.id)
    with pytest.raises(NotFound):
        room.attention.end_rule(second.id)


def test_only_so_many_have_one(room: Room) -> None:
    for number in range(MOST_RULES):
        room.attention.set_rule(f"peer{number}", "debug", 60, by="user 0")
    with pytest.raises(Refused, match="have a level of their own"):
        room.attention.set_rule("one more", "debug", 60, by="user 0")
    room.attention.set_rule("peer7", "info", 60, by="user 0")
    room.now += 60
    room.attention.set_rule("one more", "debug", 60, by="user 0")


def test_a_running_gateway_tells_more_of_one_peer(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.25.1") as one:
        order = {"peer": "honest@example.net", "level": "debug", "for_s": 600}
        answer = house.api.post("/api/v1/log-levels", json=order)
        assert answer.status_code == 201, answer.text
        up = one.connect(GATEWAY_IP, (house.ike, house.natt))
        until(lambda: [line for line in house.log() if line["event"] == "seen.child-up"], "the event is a line")
        seen = next(line for line in house.log() if line["event"] == "seen.ike-sa-up")
        assert seen["facts"]["peer_id"] == "honest@example.net"
        assert seen["facts"]["spi_i"] == up.spi_i
        told = house.get("log-levels")
        assert (told["general"], [each["peer"] for each in told["items"]]) == ("info", ["honest@example.net"])
        ended = house.api.delete(f"/api/v1/log-levels/{answer.json()['id']}").json()
        assert ended["items"] == []
        assert {"set_log_level", "end_log_level"} <= {each["action"] for each in house.get("audit")["items"]}
        assert [each["event"] for each in house.log()].count("log-level") == 2


def test_a_move_is_told_with_where_it_went(room: Room) -> None:
    room.attention.set_rule("office", "debug", 60, by="user 0")
    room.sees(Moved(SaId(0x1F), OTHER, Generation(2), Nat.NONE, Nanos(7)))
    assert room.lines[0]["facts"] == {
        "sa": 0x1F, "path": str(OTHER), "generation": 2, "nat": Nat.NONE.value, "rtt": 7,
    }  # fmt: skip
