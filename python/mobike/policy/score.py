"""The order of legal pairs: a tuple of small facts, most important first, smaller is better. No weights.

Reach comes first: a pair that is known to work beats one that may. Then the operator's word (pin; rank and cost, among
pairs that do not lose much), then RFC 6724 (sections 5 and 6, rule by rule, as far as pairs are concerned), then the
peer's preference, and at last the numbers of the addresses, so that the order is total and never depends on the order
in which facts arrived.
"""

from dataclasses import dataclass
from enum import IntEnum

from mobike.address import Ip, Nanos, Pair, Transport
from mobike.policy.knowledge import Measured, NatCost, PairFact, Reach, aged
from mobike.policy.links import Candidate

_BITS = {4: 32, 6: 128}


class Standing(IntEnum):
    """What stands behind all that may be used instead."""

    PLAIN = 0
    OPTIMISTIC = 1
    """The address may still turn out to be somebody else's (RFC 4429)."""
    AVOIDED = 2
    """The operator's word for the moment."""


class Pinned(IntEnum):
    YES = 0
    NO = 1


class Loss(IntEnum):
    """How much path probes lose there, in two classes that are far apart, so that a pair is not left for a trifle."""

    LITTLE = 0
    MUCH = 1


MUCH_IN_USE = 250
"""Out of a thousand: the pair in use is left for another when it loses so many. The order of links is one of links that
work."""
MUCH_ELSEWHERE = 50
"""And that other must lose fewer than this."""

UNMEASURED = 32
"""Behind every delay that was measured."""


class PeerSide(IntEnum):
    """Where the peer is now, it is known to be; other addresses are only promised (RFC 6724 section 6, rule 1)."""

    IN_USE = 0
    OTHER = 1
    LEFT_OUT = 2
    """The peer has told a list without it."""


class Carrier(IntEnum):
    """Streams in a stream wait for each other's losses, so TCP (RFC 9329) is for where UDP does not pass."""

    UDP = 0
    TCP = 1


class Scope(IntEnum):
    """RFC 6724 section 5, rules 2 and 6: private talks to private, global to global."""

    MATCHING = 0
    MIXED = 1


class Lifetime(IntEnum):
    """RFC 6724 sections 5 and 6, rule 3: avoid deprecated addresses."""

    PREFERRED = 0
    DEPRECATED = 1


class Family(IntEnum):
    """RFC 6724 section 6, rule 6, by the table of section 2.1."""

    V6 = 0
    V4 = 1


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """Field order is importance, smaller is better."""

    reach: Reach
    failed_at: Nanos
    """Of failures the oldest is tried first and the freshest last; 0 for all else."""
    standing: Standing
    pinned: Pinned
    loss: Loss
    rank: int
    """The operator's order of links."""
    carrier: Carrier
    cost: int
    delay: int
    """Doublings of the round trip above one millisecond; `UNMEASURED` where nobody has probed."""
    peer_side: PeerSide
    scope: Scope
    lifetime: Lifetime
    family: Family
    nat: NatCost
    """RFC 6724 section 6, rule 7: what is encapsulated only here comes behind what is not."""
    distance: int
    """Bits behind the longest common prefix of both addresses (RFC 6724 section 6, rule 9)."""
    peer_order: int
    """Where the remote address stands in the peer's list."""
    tie: tuple[int, int]
    """The addresses as numbers."""

    @property
    def worth(self) -> tuple[Standing, Pinned, Loss, int, Carrier, int, Lifetime]:
        """What an operator would move a working SA for; all else decides only when a choice must be made anyway."""
        return self.standing, self.pinned, self.loss, self.rank, self.carrier, self.cost, self.lifetime

    def __str__(self) -> str:
        said = [self.reach.name.lower().replace("_", " "), f"link rank {self.rank}"]
        said += ["pinned by the operator"] if self.pinned is Pinned.YES else []
        said += ["deprecated address"] if self.lifetime is Lifetime.DEPRECATED else []
        said += ["address not yet proven unique"] if self.standing is Standing.OPTIMISTIC else []
        said += ["avoided by the operator"] if self.standing is Standing.AVOIDED else []
        said += ["in TCP, for where UDP does not pass"] if self.carrier is Carrier.TCP else []
        said += [f"cost {self.cost}"] if self.cost else []
        said += ["loses much"] if self.loss is Loss.MUCH else []
        said += ["behind a NAT"] if self.nat is NatCost.TRANSLATED else []
        said += ["not in the peer's list"] if self.peer_side is PeerSide.LEFT_OUT else []
        return ", ".join(said)

    @property
    def detail(self) -> str:
        """Every field that ranks, in order: for who asks why one pair stands before another."""
        return (
            f"reach={self.reach.name.lower()} standing={self.standing.name.lower()} pinned={self.pinned.name.lower()} "
            f"loss={self.loss.name.lower()} rank={self.rank} carrier={self.carrier.name.lower()} "
            f"cost={self.cost} delay={self.delay} peer={self.peer_side.name.lower()} scope={self.scope.name.lower()} "
            f"lifetime={self.lifetime.name.lower()} family={self.family.name.lower()} nat={self.nat.name.lower()} "
            f"distance={self.distance} peer-order={self.peer_order}"
        )


def score(
    candidate: Candidate,
    pair: Pair,
    fact: PairFact,
    *,
    pinned: bool,
    current: Pair | None,
    left_out: Ip | None,
    peer_order: int,
    now: Nanos,
) -> Score:
    """The place of one legal pair."""
    local, remote = candidate.ip, pair.remote
    in_use = pair == current
    reach = aged(fact, now, in_use=in_use)
    measured = fact.measured_lately(now)
    return Score(
        reach=reach,
        failed_at=fact.at if reach.is_bad else Nanos(0),
        standing=_standing(candidate),
        pinned=Pinned.YES if pinned else Pinned.NO,
        rank=candidate.rank,
        carrier=Carrier.TCP if pair.transport is Transport.TCP else Carrier.UDP,
        cost=candidate.cost,
        loss=_loss(measured, in_use=in_use),
        delay=_delay(measured),
        peer_side=_peer_side(remote, current, left_out),
        scope=Scope.MATCHING if local.is_private == remote.is_private else Scope.MIXED,
        lifetime=Lifetime.DEPRECATED if candidate.deprecated else Lifetime.PREFERRED,
        family=Family.V6 if local.version == 6 else Family.V4,
        nat=fact.nat,
        distance=(int(local) ^ int(remote)).bit_length() if local.version == remote.version else _BITS[local.version],
        peer_order=peer_order,
        tie=(int(local), int(remote)),
    )


def _loss(measured: Measured | None, *, in_use: bool) -> Loss:
    most = MUCH_IN_USE if in_use else MUCH_ELSEWHERE
    return Loss.MUCH if measured is not None and measured.loss_permille >= most else Loss.LITTLE


def _delay(measured: Measured | None) -> int:
    if measured is None or measured.rtt is None:
        return UNMEASURED
    return min((measured.rtt // 1_000_000).bit_length(), UNMEASURED - 1)


def _standing(candidate: Candidate) -> Standing:
    if candidate.avoided:
        return Standing.AVOIDED
    return Standing.OPTIMISTIC if candidate.optimistic else Standing.PLAIN


def _peer_side(remote: Ip, current: Pair | None, left_out: Ip | None) -> PeerSide:
    if remote == left_out:
        return PeerSide.LEFT_OUT
    return PeerSide.IN_USE if current is not None and current.remote == remote else PeerSide.OTHER
