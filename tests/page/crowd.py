"""A gateway with 100,000 IKE SAs in memory: what the page asks, it answers as the real one does."""

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from mobike.config.held import Held
from mobike.facade import (
    AddressView,
    ConnectionView,
    EventView,
    ExplanationView,
    IkeSaDetail,
    IkeSaView,
    MoveView,
    Page,
    PairView,
    Refused,
)
from mobike.facade.attempts import AttemptView
from mobike.facade.exchanges import ExchangeView
from tests.api.house import House, a_child, a_sa
from tests.api.tries import tries_of

MANY: Final = 100_000
FEW: Final = 40
"""Those on the link that is drained."""
PICKED: Final = f"{1:016x}"
HOSTILE: Final = f"{2:016x}"
EVIL: Final = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u202e"
WIFI: Final = "192.0.2.10"
LTE: Final = "198.51.100.20"
SIX: Final = "2001:db8:7:1::10"
GATEWAY: Final = "203.0.113.1"
OTHER: Final = "2001:db8:99::1"
SCORE: Final = "reach={} standing=plain pinned=no loss=little rank={} carrier=udp cost=0 delay=0 peer=in_use family=v4"


@dataclass(repr=False)
class Crowd(House):
    """Its SAs in order of their ids, and counted by address."""

    ids: list[str] = field(default_factory=list)
    users: Counter[str] = field(default_factory=Counter)

    def fill(self, count: int, evil: str) -> None:
        self.known = {
            "roadwarriors": ConnectionView("roadwarriors", "responder", "listening", count - 2, None, ("data",)),
            "office": ConnectionView("office", "initiator", "up", 1, None, ("office", "voice")),
            "lab": ConnectionView("lab", "initiator", "down", 0, "no answer from 203.0.113.9 (8 tries in 165 s)"),
            "branch": ConnectionView("branch", "responder", "listening", 1, f"{evil} was refused"),
        }
        self.local = {
            WIFI: AddressView(WIFI, "wlan0", True),
            SIX: AddressView(SIX, "wlan0", True, "deprecated"),
            LTE: AddressView(LTE, "wwan0", True),
        }
        now = time.time()
        for number in range(1, count + 1):
            sa = replace(
                a_sa(number, "roadwarriors"),
                id=f"{number:016x}",
                role="responder",
                peer_id=f"phone-{number:06}@example.net",
                local=f"{LTE if number > count - FEW else WIFI}:4500",
                remote=f"100.{64 + number // 65536}.{number // 256 % 256}.{number % 256}:{20_000 + number % 40_000}",
                nat="peer-is-behind" if number % 3 else "none",
                state=("established", "established", "established", "waiting", "away")[number % 5],
                since=now - 60 - number % 80_000,
                moves=number % 7,
            )
            self.sas[sa.id] = sa
        office = replace(
            self.sas[PICKED],
            connection="office",
            role="initiator",
            peer_id="gw.example.net",
            remote=f"{GATEWAY}:4500",
            nat="we-are-behind",
            state="established",
            moves=3,
        )
        self.sas[PICKED] = office
        self.sas[HOSTILE] = replace(self.sas[HOSTILE], peer_id=evil, connection="branch")
        self.ids = sorted(self.sas)
        self.users = Counter(_ip(sa.local) for sa in self.sas.values())

    def list_ike_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> Page:
        begin = 0 if after is None else bisect_right(self.ids, after)
        part = self.ids[begin : begin + limit]
        rows = tuple(self.sas[id_] for id_ in part if connection in {None, self.sas[id_].connection})
        return Page(rows, part[-1] if begin + limit < len(self.ids) else None, len(self.ids))

    def ike_sa(self, sa: str) -> IkeSaDetail:
        view = self._sa(sa)
        if view.role == "responder":
            return IkeSaDetail(
                view, "the peer asked for it, and has proved that it is there", (), (), (a_child(view),), None
            )
        wifi, lte, six = (_ip(view.local) == ip for ip in (WIFI, LTE, SIX))
        pairs = (
            PairView(1, WIFI, GATEWAY, "wlan0", wifi, True, SCORE.format("verified", 10), "the first of your links",
                     True, True, 12.5, 0.0),
            PairView(2, LTE, GATEWAY, "wwan0", lte, True, SCORE.format("verified", 20), "its link ranks behind wlan0",
                     True, True, 48.0, 0.02),
            PairView(3, SIX, OTHER, "wlan0", six, False, SCORE.format("silent", 10),
                     "silent since a test 41 s ago; asked again in 79 s"),
        )  # fmt: skip
        why = "wlan0 is in use: the first of your links" if wifi else "wwan0 is in use: you asked for it"
        return IkeSaDetail(
            view, why, pairs, (OTHER,), (a_child(view),), self.last_moves.get(sa), None if wifi else f"{LTE} -> any",
            dns=("10.1.0.53",), networks=("10.1.0.0/16",), domains=("example.net",),
        )  # fmt: skip

    def attempts(self, *, peer: str | None = None, limit: int = 20) -> tuple[AttemptView, ...]:
        late = max((each.at for each in tries_of(None)), default=0.0) - time.time() + 25
        found = [replace(each, at=each.at - late, since=each.since - late) for each in tries_of(peer)]
        return tuple(replace(each, peer_id=EVIL) if each.peer_id == "carol@example.org" else each for each in found)

    def explain(self, sa: str, *, without: str | None = None) -> ExplanationView:
        told = super().explain(sa, without=without)
        return replace(told, why=f"{told.remote} answers there") if told.decision == "move" else told

    def addresses(self) -> tuple[AddressView, ...]:
        return tuple(replace(each, ike_sas=self.users[each.ip]) for each in self.local.values())

    def move(self, sa: str, *, local: str | None, remote: str | None) -> None:
        self._move(self._sa(sa), local or WIFI, "the operator said so")
        self.orders.append(f"move {sa} {local} {remote}")

    def avoid(self, link: str, *, avoid: bool) -> None:
        super().avoid(link, avoid=avoid)
        for ip, each in self.local.items():
            if each.link == link:
                self.local[ip] = replace(each, standing="avoided" if avoid else "preferred")
        spared = [ip for ip, each in self.local.items() if each.link != link]
        if not spared:
            raise Refused("there is no other link")
        gone = [sa for sa in self.sas.values() if self.local[_ip(sa.local)].link == link] if avoid else []
        for sa in gone:
            self._move(sa, spared[0], f"the operator avoids {link}")

    def happened(
        self, kind: str, text: str, sa: str | None, connection: str | None = None, ago: float = 0.0, **data: object
    ) -> None:
        """An event with all that goes with it."""
        self.seq += 1
        told: dict[str, str | int | float | bool | None] = {
            name: each for name, each in data.items() if isinstance(each, str | int | float | bool)
        }
        self.ring.append(EventView(self.seq, time.time() - ago, kind, sa, connection, text, told))
        self.bell.set()

    def in_order(self) -> None:
        """Number what has happened by its time."""
        told = sorted(self.ring, key=lambda event: event.at)
        self.ring.clear()
        self.ring.extend(replace(event, seq=seq) for seq, event in enumerate(told, 1))

    def _move(self, sa: IkeSaView, local: str, why: str) -> None:
        path = f"{local}:4500"
        self.users[_ip(sa.local)] -= 1
        self.users[local] += 1
        self.sas[sa.id] = replace(sa, local=path, moves=sa.moves + 1)
        self.last_moves[sa.id] = MoveView(time.time(), sa.local, path, why, 12.5)
        text = f"Moved to {path}: {why}"
        self.said.setdefault(sa.id, []).append(an_exchange(0, "update-addresses", 40, took=12.5))
        self.happened("moved", text, sa.id, sa.connection, path=f"{path} -> {sa.remote}", duration_ms=12.5, why=why)


KINDS: Final = {
    "init": "IKE_SA_INIT", "init-with-cookie": "IKE_SA_INIT", "auth": "IKE_AUTH",
    "rekey-ike-sa": "CREATE_CHILD_SA", "child-sa": "CREATE_CHILD_SA",
}  # fmt: skip


def an_exchange(ago: float, topic: str, number: int, *, ours: bool = True, took: float | None = None) -> ExchangeView:
    """One that went as it should."""
    at = time.time() - ago
    kind = KINDS.get(topic, "INFORMATIONAL")
    return ExchangeView(at, at, "us" if ours else "peer", kind, topic, number, 1, 1, False, True, took, None)


def a_crowd(count: int = MANY, evil: str = EVIL) -> Crowd:
    crowd = Crowd()
    crowd.fill(count, evil)
    _past(crowd)
    _kept(crowd)
    crowd.said[PICKED] = [*_said()]
    crowd.in_order()
    return crowd


def _past(crowd: Crowd) -> None:
    """What has happened before somebody looks."""
    tell, office = crowd.happened, "office"
    tell("address-added", f"{WIFI} (wlan0) can be used", None, None, 4000)
    tell("sa-up", f"IKE SA with gw.example.net is up on {WIFI}:4500 -> {GATEWAY}:4500", PICKED, office, 3600)
    tell("child-up", "Child SA office c0ffee01/c0ffee02 is up", PICKED, office, 3600)
    tell("announced", f"Told the peer of {LTE}, {SIX}", PICKED, office, 3599)
    tell("connect-failed", "Cannot connect: no answer from 203.0.113.9 (8 tries in 165 s)", None, "lab", 3000)
    for ago, local, took, why in _moves():
        tell("moving", f"Asked the peer to use {local}", PICKED, office, ago + 0.1, to_path=local)
        path = f"{local}:4500 -> {GATEWAY}:4500"
        tell("moved", f"Moved to {path}: {why}", PICKED, office, ago, path=path, duration_ms=took, why=why)
    for number in range(3, 60):
        id_, sa = f"{number:016x}", crowd.sas[f"{number:016x}"]
        text = f"The peer moved: {sa.local} -> {sa.remote}"
        tell(
            "peer-moved",
            text,
            id_,
            sa.connection,
            820 - number * 12 + number % 5 * 40,
            path=f"{sa.local} -> {sa.remote}",
        )
    tell("sa-rekeyed", "IKE SA has new keys; we asked", PICKED, office, 35)
    tell("path-silent", f"No answer on {LTE} -> {GATEWAY}", PICKED, office, 28)
    tell("sa-up", "IKE SA with " + crowd.sas[HOSTILE].peer_id + " is up", HOSTILE, "branch", 12)


def _kept(crowd: Crowd) -> None:
    """Credentials, and who names them."""
    now, chancery = time.time(), crowd.configurations
    chancery.held = {
        "annex": Held("psk", "secret-of-annex", ("hmac-sha256:" + "5e" * 32,), None, now - 86_400, now - 7200),
        "gateway-2026": Held(
            "identity", "", ("sha256:" + "a1" * 32, "sha256:" + "b2" * 32), now + 12 * 86_400, now, now
        ),
        "old-partner-authority": Held("authority", "", ("sha256:" + "c3" * 32,), now - 3 * 86_400, now, now - 400_000),
    }
    chancery.stored = {
        "branch": {"psk_file": "stored:annex"},
        "roadwarriors": {"local_cert": "stored:gateway-2026", "local_key": "stored:gateway-2026"},
    }


def _said() -> Iterable[ExchangeView]:
    """The latest of what the ends asked each other, in the order in which it ended."""
    yield replace(an_exchange(3600.12, "init", 0, took=11.9), error="COOKIE")
    yield replace(an_exchange(3600.1, "init-with-cookie", 0, took=12.6), error="INVALID_KE_PAYLOAD")
    yield an_exchange(3600.09, "init-with-cookie", 0, took=13.1)
    auth = an_exchange(3600.01, "auth", 5, took=14.4)
    yield replace(auth, since=auth.at - 0.06, times=5)
    for number, (ago, _local, took, _why) in enumerate(_moves()):
        if ago < 500:
            yield an_exchange(ago + 0.1, "update-addresses", 20 + number, took=took)
            yield an_exchange(ago - 0.1, "return-routability", 7 + number, ours=False)
    yield an_exchange(35, "rekey-ike-sa", 30, took=14.1)
    yield replace(an_exchange(33, "child-sa", 9, ours=False), error="TEMPORARY_FAILURE")
    quiet = an_exchange(5, "liveness", 33, took=11.8)
    yield replace(quiet, since=quiet.at - 24, times=4)
    yield replace(an_exchange(1, "probe", 34), answered=False, sent=3, many_paths=True)


def _moves() -> Iterable[tuple[float, str, float, str]]:
    yield 700, LTE, 48.2, "wlan0 is gone"
    yield 420, WIFI, 12.9, "wlan0 is back, and ranks first"
    yield 130, LTE, 51.0, "no answer on wlan0"
    yield 61, WIFI, 13.4, "wlan0 answers again"


def _ip(endpoint: str) -> str:
    return endpoint.rpartition(":")[0].strip("[]")
