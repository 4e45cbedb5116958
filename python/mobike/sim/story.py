"""Run a scenario: the world, its faults, and what came of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from typing import Final

from mobike.address import Nanos, Path, SaId
from mobike.events import Event, Moved
from mobike.fleet import Decided
from mobike.inner.pinger import Ping, Pinger
from mobike.sim import faults, settled
from mobike.sim.host import Host
from mobike.sim.nat import Nat
from mobike.sim.network import Network
from mobike.sim.rules import Rules
from mobike.sim.rules.base import PATH_PROBE, read
from mobike.sim.scenario import Pings, Scenario
from mobike.sim.stage import Stage
from mobike.sim.world import MS, SECOND, TimeStandsStill, World

LOOK: Final = 50 * MS
"""How often the world is asked whether it is settled."""
STAYS: Final = 2 * SECOND
"""It must stay settled for so long."""
PROOF_PINGS: Final = 3
"""Tries of the last ping through an SA."""
PROVEN_SAS: Final = 256
"""SAs of one host through which the last pings go."""
PING_PATIENCE: Final = SECOND
IN_A_ROW: Final = 5
"""Pings that must pass one after the other before a fault counts as overcome."""
MANY: Final = 1_000
"""SAs from which on the world is asked less often."""
AROUND: Final = 250 * MS
"""A fault costs pings that were on their way when it came or sent right after it. Later ones are the weather's."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline."""

    at: Nanos
    who: str
    kind: str
    text: str
    count: int = 1
    """Of how many SAs it is told."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one fault cost."""

    at: int
    what: str
    recovered: int | None
    """Nanoseconds until pings passed again; 0: none was lost; None: they never did, before the next fault came."""
    lost: int
    moves: tuple[int, ...]
    """Of each SA that moved before the next fault: nanoseconds from the fault to the peer's answer."""
    packets: int
    """IKE messages sent by all hosts before the next fault."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run has shown."""

    scenario: Scenario
    seed: int
    timeline: tuple[Line, ...]
    recoveries: tuple[Recovery, ...]
    settled_after: int | None
    """Nanoseconds from the last fault until everything was settled."""
    pings: int
    pings_lost: int
    sas: int
    sent: dict[str, int]
    """Datagrams by what they carried."""
    lost: dict[str, int]
    """Datagrams that did not arrive, by reason."""
    bystanders: dict[str, int]
    """Octets that came to who had not asked for them."""
    steps: int
    violations: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.violations


class Chronicler(Rules):
    """The rules, and beside them what the report needs."""

    def __init__(self, world: World, tell: Callable[[Line], None]) -> None:
        super().__init__(world)
        self.sent_by_kind = {"ike": 0, "probe": 0, "esp": 0, "keepalive": 0}
        self.ike_at: list[int] = []
        """Path probes aside: they leave all the time, and cost no request."""
        self.moved_at: list[tuple[int, str, SaId]] = []
        self._tell = tell

    def sent(self, host: Host, path: Path, data: bytes, carries: str) -> None:
        super().sent(host, path, data, carries)
        message = read(data, path.local.port) if carries == "ike" else None
        kind = "probe" if message is not None and message.exchange == PATH_PROBE else carries
        self.sent_by_kind[kind] += 1
        if kind == "ike":
            self.ike_at.append(self._world.now)

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        super().turned(host, events, decided)
        for event in events:
            if isinstance(event, Moved):
                self.moved_at.append((self._world.now, host.name, event.sa))
        for note in decided.notes:
            count = note.data.get("sas", 1)
            self._tell(Line(self._world.now, host.name, note.kind, note.text, count if isinstance(count, int) else 1))


@dataclass(slots=True)
class _Stream:
    plan: Pings
    host: Host
    pinger: Pinger | None = None
    pingers: list[Pinger] = field(default_factory=list)


class Story:
    """One run."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        tell: Callable[[Line], None] = lambda _: None,
        look: Callable[["Story"], None] = lambda _: None,
    ) -> None:
        """`tell`: each line of the timeline, as it comes. `look`: called after each second of the world."""
        self.scenario = scenario
        self.seed = seed
        self.world = World(seed)
        self._timeline: list[Line] = []
        self._also_tell = tell
        self._look = look
        self.rules = Chronicler(self.world, self._tell)
        self.stage = self._build()
        self._streams = [_Stream(each, self.stage.hosts[each.host]) for each in scenario.pings]
        self._happened: list[faults.Fault] = []

    def run(self) -> Outcome:
        """From the beginning to the verdict."""
        for fault in self.scenario.faults:
            trouble = faults.problem(self.stage, fault)
            if trouble is not None:
                raise ValueError(f"{self.scenario.name}: {trouble}")
        try:
            self.begin()
            for fault in self.scenario.faults:
                self.world.at(fault.at, partial(self.let, fault))
            for second in range(SECOND, self.scenario.lasts, SECOND):
                self.world.run_until(second)
                self._look(self)
            self.world.run_until(self.scenario.lasts)
        except TimeStandsStill as bug:
            self.rules.violations.append(str(bug))
            return self._outcome(None)
        return self.finish()

    def begin(self) -> None:
        """Hosts boot, pings set out. Who takes the run step by step goes on with `world.run_until` and `let`."""
        self.stage.boot()
        for stream in self._streams:
            self.world.after(stream.plan.every, partial(self._ping, stream))

    def let(self, fault: faults.Fault) -> None:
        """Let it happen now."""
        self._happened.append(fault)
        if not fault.quiet:
            self._tell(Line(self.world.now, "world", "fault", str(fault)))
        faults.happen(self.stage, fault)

    def finish(self) -> Outcome:
        """Faults stop; does everything settle?"""
        faults.heal(self.stage)
        self._tell(Line(self.world.now, "world", "healed", "Faults stop here"))
        settled_after: int | None = None
        try:
            settled_after = self._settle()
        except TimeStandsStill as bug:
            self.rules.violations.append(str(bug))
        self.rules.ended(self.stage.all_hosts())
        return self._outcome(settled_after)

    # --- how it goes ---

    def _build(self) -> Stage:
        network = Network(self.world)
        stage = Stage(self.world, network, self.rules)
        for name, nat in self.scenario.nats.items():
            stage.nats[name] = Nat(
                nat.outside,
                self.world.chance(f"nat/{name}"),
                mapping=nat.mapping,
                filtering=nat.filtering,
                expiry=nat.expiry,
                fixed=nat.fixed,
            )
        for name, plan in self.scenario.hosts.items():
            stage.add(name, plan)
        return stage

    def _ping(self, stream: _Stream) -> None:
        self.world.after(stream.plan.every, partial(self._ping, stream))
        first = next(iter(stream.host.ups), None)
        if first is None or not isinstance(stream.plan.to, IPv4Address):
            return
        pinger = stream.host.pinger(first, stream.plan.to)
        if pinger is None:
            return
        if pinger is not stream.pinger:
            stream.pinger = pinger
            stream.pingers.append(pinger)
        stream.host.send_inner([pinger.next(self.world.now)])

    def _settle(self) -> int | None:
        """How long it took; a violation says what is still wrong after the bound."""
        began = self.world.now
        peers = settled.Peers(self.stage.all_hosts())
        look = LOOK if len(self.rules.moved_at) + sum(len(host.ups) for host in peers.hosts) < MANY else SECOND
        good_since: int | None = None
        while True:
            wrong = list(settled.complaints(peers))
            if wrong:
                good_since = None
            elif good_since is None:
                good_since = self.world.now
            elif self.world.now - good_since >= STAYS:
                wrong = self._prove()
                if not wrong:
                    return good_since - began
                good_since = None
            if self.world.now - began >= self.scenario.bound and good_since is None:
                bound = self.scenario.bound / SECOND
                self.rules.violations += [
                    f"not settled {bound:g} s after faults stopped: {each}" for each in wrong[:10]
                ]
                return None
            self.world.run_until(self.world.now + look)

    def _prove(self) -> list[str]:
        """Pings pass through every SA; of a crowd, through some. Says which do not."""
        asked: list[tuple[Host, SaId, Pinger, int]] = []
        for stream in self._streams:
            host = stream.host
            if not isinstance(stream.plan.to, IPv4Address):
                continue
            ups = host.initiated()
            for up in ups[:: max(1, len(ups) // PROVEN_SAS)]:
                pinger = host.pinger(up.sa, stream.plan.to)
                if pinger is not None and self._shares_a_pair(host, up.sa):
                    asked.append((host, up.sa, pinger, pinger.count))
        for _ in range(PROOF_PINGS):
            for host, _, pinger, _ in asked:
                host.send_inner([pinger.next(self.world.now)])
            self.world.run_until(self.world.now + PING_PATIENCE)
        return [
            f"{host.name}: pings through SA {sa:#x} are lost, though it seems settled"
            for host, sa, pinger, first in asked
            if all(ping.answered is None for ping in pinger.score(first))
        ]

    def _shares_a_pair(self, host: Host, sa: SaId) -> bool:
        row = host.fleet.row(sa)
        policy = next((each.policy for each in host.connections if row and each.policy.name == row.connection), None)
        peer = None if policy is None else settled.Peers(self.stage.all_hosts()).of(policy)
        if row is None or policy is None or peer is None:
            return False
        known = {**dict.fromkeys(policy.remotes), row.path.remote.ip: None}
        return row.path.pair in settled.working_pairs(host, policy, peer, known)

    def _tell(self, line: Line) -> None:
        self._timeline.append(line)
        self._also_tell(line)

    # --- what came of it ---

    def _outcome(self, settled_after: int | None) -> Outcome:
        pings = [ping for stream in self._streams for pinger in stream.pingers for ping in pinger.score()]
        # What is still on its way at the end is not lost.
        judged = [ping for ping in pings if ping.answered is not None or ping.sent < self.world.now - PING_PATIENCE]
        return Outcome(
            scenario=self.scenario,
            seed=self.seed,
            timeline=tuple(self._timeline),
            recoveries=tuple(self._recoveries(judged)),
            settled_after=settled_after,
            pings=len(judged),
            pings_lost=sum(ping.answered is None for ping in judged),
            sas=sum(len(host.initiated()) for host in self.stage.hosts.values()),
            sent=dict(self.rules.sent_by_kind),
            lost=dict(self.stage.network.lost),
            bystanders={each.name: each.octets for each in self.stage.bystanders.values()},
            steps=self.world.steps,
            violations=tuple(self.rules.violations),
        )

    def _recoveries(self, pings: Sequence[Ping]) -> list[Recovery]:
        told = [fault for fault in self._happened if not fault.quiet]
        ends = [*(fault.at for fault in told[1:]), self.world.now + 1][: len(told)]
        found = []
        for fault, end in zip(told, ends, strict=True):
            among = sorted((ping for ping in pings if fault.at - AROUND <= ping.sent < end), key=lambda ping: ping.sent)
            lost = [ping for ping in among if ping.answered is None]
            recovered: int | None = 0
            if lost and lost[0].sent <= fault.at + AROUND:
                again = _passes_again(among, lost[0].sent)
                recovered = None if again is None else max(0, again - fault.at)
            moves = tuple(at - fault.at for at, _, _ in self.rules.moved_at if fault.at <= at < end)
            packets = sum(fault.at <= at < end for at in self.rules.ike_at)
            found.append(Recovery(fault.at, str(fault), recovered, len(lost), moves, packets))
        return found


def _passes_again(pings: Sequence[Ping], since: int) -> int | None:
    """When the first of some pings in a row was answered; a single one that slips through proves nothing."""
    row: list[int] = []
    for ping in pings:
        if ping.sent > since:
            row = [] if ping.answered is None else [*row, ping.answered]
            if len(row) == IN_A_ROW:
                return row[0]
    return None


def run(
    scenario: Scenario,
    seed: int,
    tell: Callable[[Line], None] = lambda _: None,
    look: Callable[[Story], None] = lambda _: None,
) -> Outcome:
    """The same scenario with the same seed gives the same outcome."""
    return Story(scenario, seed, tell, look).run()
