"""Keeping up what should be up: which connections are wanted, what was tried, and when to try again."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from mobike.address import Endpoint, Ip, Nanos, Pair, Path, SaId, Token, Transport
from mobike.commands import Connect
from mobike.policy.choose import RankedPair, Situation
from mobike.policy.connection import ConnectionPolicy, Ports, Start
from mobike.policy.knowledge import Knowledge
from mobike.policy.links import Candidate
from mobike.policy.redirects import MOST

MOST_PATHS = 16
"""Paths given to one `Connect`: four of our addresses with four of the peer's."""

MOST_STREAMS = 4
"""So many of them in TCP, if there are more pairs than that: where one stream passes, others mostly do."""

_MOST_DOUBLINGS = 30
"""Far beyond any sensible limit of waiting; keeps the number small."""


PATIENCE = 500_000_000
"""Nanoseconds that a first message has, when ways change: almost everybody has answered by then."""

MOST_PATIENT = 5
"""Doublings: 16 s."""


@dataclass(slots=True)
class Upkeep:
    """One connection."""

    policy: ConnectionPolicy
    wanted: bool
    token: Token | None = None
    """Of the `Connect` that runs."""
    asked: tuple[Path, ...] = ()
    """Its paths, or those of the last one, best first."""
    tries: int = 0
    """Attempts since it was last up."""
    retry_at: Nanos | None = None
    """When to try again; None: not before something changes."""
    waiting: bool = False
    """Down until a packet wants it."""
    rests: bool = False
    """At `retry_at` it does not try again, but waits for a packet."""
    ways: frozenset[Pair] = frozenset()
    """Pairs that could be used when it last looked."""
    patient_until: Nanos = Nanos(0)  # noqa: RUF009
    """Until then what it began is not given up because there are other ways."""
    gives_up: bool = False
    """The `Connect` that runs is to end. Another follows at once, if one is wanted."""
    times_given_up: int = 0
    """Since it was up, or failed."""
    last_error: str | None = None
    peer_listed: dict[Ip, None] = field(default_factory=dict)
    """Addresses that peers of this connection listed: routes to them are worth knowing."""
    home: ConnectionPolicy = field(init=False)
    """As configured: `policy`, unless a gateway has sent us on."""
    sent_by: Ip | None = None
    """That gateway."""
    leaving: SaId | None = None
    """The SA with that gateway, until there is one with the other."""
    followed: deque[Nanos] = field(default_factory=lambda: deque(maxlen=MOST))
    """When gateways sent us on."""

    def __post_init__(self) -> None:
        self.home = self.policy

    def detour(self, remotes: tuple[Ip, ...], sent_by: Ip, now: Nanos) -> None:
        """From now on the peer is there."""
        self.policy = replace(self.home, remotes=remotes)
        self.sent_by = sent_by
        self.followed.append(now)

    def rehome(self, policy: ConnectionPolicy) -> None:
        """It is configured otherwise now. Where a gateway has sent us on to, we stay."""
        sent_on = self.policy is not self.home
        self.policy = replace(policy, remotes=self.policy.remotes) if sent_on else policy
        self.home = policy

    def give_up(self, now: Nanos) -> None:
        """What runs may end, unless somebody answers it."""
        self.gives_up = True
        self.times_given_up += 1
        self.wait_from(now)

    def wait_from(self, now: Nanos) -> None:
        """Twice as long each time: ways that come and go must not keep it from ever hearing an answer."""
        self.patient_until = Nanos(now + (PATIENCE << min(self.times_given_up, MOST_PATIENT)))

    def go_home(self) -> bool:
        """The peer is where it is configured to be. True if we were sent elsewhere."""
        was_sent = self.policy is not self.home
        self.policy, self.sent_by, self.leaving = self.home, None, None
        return was_sent


class Upkeeps:
    """All connections, and the tokens of those that are connecting."""

    def __init__(self, connections: Iterable[ConnectionPolicy]) -> None:
        self._by_name = {each.name: Upkeep(each, wanted=False) for each in connections}
        self._by_token: dict[Token, Upkeep] = {}
        self._idle: dict[str, Upkeep] = {}
        """Wanted, and nothing is under way: usually none."""
        self._last_token = 0
        for upkeep in self:
            self.begin(upkeep, Nanos(0))

    def __iter__(self) -> Iterator[Upkeep]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Upkeep | None:
        return self._by_name.get(name)

    def add(self, policy: ConnectionPolicy) -> Upkeep:
        upkeep = self._by_name[policy.name] = Upkeep(policy, wanted=False)
        return upkeep

    def remove(self, name: str) -> Upkeep | None:
        """Forget it. What was begun for it comes to nothing, and is not tried again."""
        upkeep = self._by_name.pop(name, None)
        if upkeep is not None:
            self.drop(upkeep)
        return upkeep

    def begin(self, upkeep: Upkeep, now: Nanos) -> None:
        """As its configuration says."""
        if upkeep.policy.initiates and upkeep.policy.start is Start.AUTO:
            self.want(upkeep, now)
        elif upkeep.policy.initiates and upkeep.policy.start is Start.TRAFFIC:
            self.wait(upkeep)

    def want(self, upkeep: Upkeep, at: Nanos) -> None:
        """Bring it up at this time."""
        upkeep.wanted = True
        upkeep.waiting = upkeep.rests = False
        upkeep.retry_at = at
        self._idle[upkeep.policy.name] = upkeep

    def wait(self, upkeep: Upkeep) -> None:
        """Bring it up when a packet wants it."""
        upkeep.wanted = upkeep.waiting = True
        upkeep.rests = False
        upkeep.retry_at = None
        self._idle.pop(upkeep.policy.name, None)

    def waiting(self) -> Iterator[Upkeep]:
        """Those that a packet would bring up."""
        return (each for each in self if each.waiting)

    def come_back(self, upkeep: Upkeep, now: Nanos) -> None:
        """It went down after it had been of use: up again, at once or with the next packet."""
        if upkeep.home.start is Start.TRAFFIC:
            self.wait(upkeep)
        else:
            self.want(upkeep, now)

    def settle(self, upkeep: Upkeep) -> None:
        """It is up."""
        upkeep.waiting = upkeep.rests = False
        upkeep.tries = upkeep.times_given_up = 0
        upkeep.retry_at = None
        upkeep.last_error = None
        self._idle.pop(upkeep.policy.name, None)

    def drop(self, upkeep: Upkeep) -> None:
        """Nobody wants it up any more."""
        upkeep.wanted = upkeep.waiting = upkeep.rests = False
        upkeep.retry_at = None
        self._idle.pop(upkeep.policy.name, None)

    def retry(self, upkeep: Upkeep, now: Nanos) -> Nanos:
        """It failed or went down too soon: wait, twice as long each time. How long?"""
        rule = upkeep.policy.reconnect
        wait = min(rule.initial << min(upkeep.tries, _MOST_DOUBLINGS), rule.max)
        upkeep.tries += 1
        upkeep.times_given_up = 0
        self.want(upkeep, Nanos(now + wait))
        upkeep.rests = upkeep.home.start is Start.TRAFFIC
        return Nanos(wait)

    def something_changed(self, now: Nanos) -> None:
        """Those for which there was no usable pair may have one now."""
        for upkeep in self._idle.values():
            if upkeep.retry_at is None:
                upkeep.retry_at = now

    def due(self, now: Nanos) -> list[Upkeep]:
        """Those to be tried now. Those that have rested wait for packets again."""
        due = [each for each in self._idle.values() if each.retry_at is not None and each.retry_at <= now]
        for each in due:
            if each.rests:
                self.wait(each)
        return [each for each in due if not each.waiting]

    def on_their_way(self) -> Iterator[Upkeep]:
        """Those that are coming up, or will be tried again in a while."""
        yield from self._by_token.values()
        yield from (each for each in self._idle.values() if each.retry_at is not None)

    def next_retry(self) -> Nanos | None:
        return min((each.retry_at for each in self._idle.values() if each.retry_at is not None), default=None)

    def connect(self, upkeep: Upkeep, ranked: Iterable[RankedPair], now: Nanos) -> Connect | None:
        """Begin, over all usable pairs, best first (RFC 4555 section 3.1); None if there is none."""
        ports = upkeep.policy.ports
        pairs = tuple(each.pair for each in ranked if each.usable)
        paths = tuple(_first_path(pair, ports) for pair in _few(pairs))
        upkeep.retry_at = None
        upkeep.ways = frozenset(pairs)
        upkeep.gives_up = False
        upkeep.wait_from(now)
        if not paths:
            return None
        self._idle.pop(upkeep.policy.name, None)
        self._last_token += 1
        upkeep.token = Token(self._last_token)
        upkeep.asked = paths
        self._by_token[upkeep.token] = upkeep
        return Connect(upkeep.token, upkeep.policy.name, paths, ports.remote_natt, upkeep.sent_by)

    def take_token(self, token: Token | None) -> Upkeep | None:
        """Whose `Connect` this was; it is over."""
        upkeep = None if token is None else self._by_token.pop(token, None)
        if upkeep is not None:
            upkeep.token = None
        return upkeep


def _few(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """The best, in their order; and if there are any in TCP, some of them: else a network without UDP is a dead end."""
    wanted = tuple(pairs)
    datagrams = [pair for pair in wanted if pair.transport is Transport.UDP]
    streams = [pair for pair in wanted if pair.transport is Transport.TCP]
    del streams[max(MOST_STREAMS, MOST_PATHS - len(datagrams)) :]
    del datagrams[MOST_PATHS - min(len(streams), MOST_PATHS) :]
    kept = {*streams, *datagrams}
    return tuple(pair for pair in wanted if pair in kept)


def passed_over(upkeep: Upkeep, pair: Pair) -> Iterator[Pair]:
    """It came up on this pair, in TCP. Pairs that had their turn before it, in UDP, have not answered."""
    if pair.transport is Transport.TCP:
        for path in upkeep.asked:
            if path.pair == pair:
                return
            if path.transport is Transport.UDP:
                yield path.pair


def _first_path(pair: Pair, ports: Ports) -> Path:
    """Datagrams begin on the port of IKE, streams have one port (RFC 9329 section 2)."""
    if pair.transport is Transport.TCP:
        local, remote = ports.local_natt, ports.remote_natt
    else:
        local, remote = ports.local_ike, ports.remote_ike
    return Path(Endpoint(pair.local, local), Endpoint(pair.remote, remote), pair.transport)


def situation_of(upkeep: Upkeep, candidates: tuple[Candidate, ...], knowledge: Knowledge, now: Nanos) -> Situation:
    """As for an SA that is nowhere yet."""
    policy = upkeep.policy
    return Situation(candidates, policy.remotes, knowledge, rules=policy.pairs, transports=policy.transports, now=now)


def pairs_of(upkeep: Upkeep, candidates: tuple[Candidate, ...]) -> Iterator[Pair]:
    """Pairs whose routes are worth asking the kernel for."""
    for candidate in candidates:
        if candidate.available and candidate.allowed and not candidate.tunnel:
            for remote in dict.fromkeys((*upkeep.policy.remotes, *upkeep.peer_listed)):
                if remote.version == candidate.ip.version:
                    yield Pair(candidate.ip, remote)
