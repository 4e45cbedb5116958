"""What the kernel can be told, as values: `plan` makes them, `wire` writes them, `kernel` sends them."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mobike.dataplane.xfrm.state import Policy, PolicyKey, Sa, SaName


class AddSa(NamedTuple):
    """A new SA, with keys that nobody used yet."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class Retune:
    """Other ports of the encapsulation, other limits; nothing else, and at once (XFRM_MSG_UPDSA)."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class MigrateState:
    """`was` becomes `sa` at once, counters and all (XFRM_MSG_MIGRATE_STATE)."""

    name: SaName
    was: Sa
    sa: Sa


@dataclass(frozen=True, slots=True)
class Migrate:
    """`was` becomes `sa`; what it did in between may be forgotten (XFRM_MSG_MIGRATE)."""

    name: SaName
    was: Sa
    sa: Sa


@dataclass(frozen=True, slots=True)
class Take:
    """Read an SA with its keys and counters, and remove it."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class Restore:
    """Put back what `Take` took, as `sa`; its counter of sent packets jumps ahead."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class Read:
    """Is it there? The counter of an outbound one is kept for `Advance`."""

    name: SaName
    sa: Sa
    keys: bool = False
    """Keep its keys and counters for `Restore`, which makes a copy then."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Let the counter of sent packets jump ahead of what `Read` saw."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class Calm:
    """Read once more, and refused with EBUSY if much was sent since `Read`: then the next steps would come too late."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class Bound:
    """Little more may be sent over it than `Calm` saw: so its counter can be put ahead of whatever it sends still."""

    name: SaName
    sa: Sa


@dataclass(frozen=True, slots=True)
class DropSa:
    """Remove an SA."""

    name: SaName
    sa: Sa


class PutPolicy(NamedTuple):
    """A policy, in the place of the one of the same key if there is one."""

    policy: Policy
    fresh: bool
    """There should be none of that key: one that is there is somebody else's, and stays."""


@dataclass(frozen=True, slots=True)
class DropPolicy:
    """Remove a policy."""

    key: PolicyKey


SaStep: TypeAlias = AddSa | Retune | MigrateState | Migrate | Take | Restore | Read | Advance | Calm | Bound | DropSa
Step: TypeAlias = SaStep | PutPolicy | DropPolicy
