"""What an earlier process left in the kernel: found, adopted one Child SA after another, and the rest removed. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from mobike.address import Ip
from mobike.dataplane.operations import InstallChild
from mobike.dataplane.xfrm.mend import Strand
from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import (
    OUR_PRIORITIES,
    TRAP_REQIDS,
    Policy,
    PolicyKey,
    PolicySeen,
    Sa,
    SaKey,
    SaName,
    SaSeen,
)
from mobike.dataplane.xfrm.steps import DropPolicy, DropSa, Step
from mobike.dataplane.xfrm.uapi import Dir


@dataclass(slots=True)
class Left:
    """What is in the kernel and in nobody's book."""

    sas: dict[SaKey, SaSeen]
    policies: dict[PolicyKey, Policy]
    foreign: tuple[PolicySeen, ...]
    """Policies of others: they stay, and are warned of where they are asked before ours."""

    @classmethod
    def of(cls, sas: Iterable[SaSeen], policies: Iterable[PolicySeen]) -> Self:
        every = list(policies)
        return cls(
            {seen.sa.key: seen for seen in sas if seen.ours},
            {seen.policy.key: seen.policy for seen in every if seen.ours},
            tuple(seen for seen in every if not seen.ours),
        )

    def __bool__(self) -> bool:
        return bool(self.sas or self.policies)

    def take(self, order: InstallChild) -> dict[SaName, SaSeen]:
        """The SAs of this Child SA, both; nothing if one of them is missing."""
        path = order.path
        mode = order.transport_mode
        inbound = self._find(path.local.ip, order.spi_in, mode, inbound=True)
        if inbound is None:
            return {}
        outbound = self._find(path.remote.ip, order.spi_out, mode, inbound=False, reqid=inbound.sa.reqid)
        if outbound is None:
            return {}
        del self.sas[inbound.sa.key], self.sas[outbound.sa.key]
        return {SaName(order.child, True): inbound, SaName(order.child, False): outbound}

    def put_back(self, seen: Iterable[SaSeen]) -> None:
        """They are nobody's still."""
        self.sas.update({each.sa.key: each for each in seen})

    def reqids(self) -> Iterator[int]:
        """Of what is ours; those of policies without SAs are not used for anything else."""
        yield from (seen.sa.reqid for seen in self.sas.values())
        templates = (policy.template for policy in self.policies.values())
        yield from (each.reqid for each in templates if each is not None and each.reqid in TRAP_REQIDS)

    def foreign_before_ours(self) -> list[Selector]:
        return [seen.policy.key.selector for seen in self.foreign if seen.policy.priority < OUR_PRIORITIES.stop]

    def lines(self, policies: Mapping[PolicyKey, Policy]) -> Iterator[str]:
        """One for each SA, and for each of these policies."""
        for seen in self.sas.values():
            yield f"SA {seen.sa.spi:#010x} {seen.sa.source} -> {seen.sa.destination}, reqid {seen.sa.reqid:#x}"
        for policy in policies.values():
            yield f"policy {policy.key.direction.name.lower()} {policy.key.selector}: {policy.action.value}"

    def _find(
        self, destination: Ip, spi: int, transport_mode: bool, *, inbound: bool, reqid: int | None = None
    ) -> SaSeen | None:
        """At the address of its path, or where it was when a crash lost a move. Others may have the same SPI elsewhere:
        of two that could be it, neither is."""

        def fits(seen: SaSeen | None) -> bool:
            if seen is None or seen.sa.transport_mode is not transport_mode:
                return False
            return seen.sa.inbound is inbound and reqid in (None, seen.sa.reqid)

        exact = self.sas.get(SaKey(destination, spi))
        if fits(exact):
            return exact
        elsewhere = [seen for seen in self.sas.values() if seen.sa.spi == spi and fits(seen)]
        return elsewhere[0] if len(elsewhere) == 1 else None


def reqid_of(found: Mapping[SaName, SaSeen]) -> int | None:
    return next((seen.sa.reqid for seen in found.values()), None)


def removals(held: Mapping[SaName, Sa], left: Left, policies: Mapping[PolicyKey, Policy]) -> list[Step]:
    """Everything out: SAs first, so that nothing goes in the clear that has a policy still."""
    steps: list[Step] = [DropSa(name, sa) for name, sa in held.items()]
    steps += [DropSa(SaName(-1, seen.sa.inbound), seen.sa) for seen in left.sas.values()]
    steps += [DropPolicy(key) for key in policies]
    return steps


def what_is_there(
    strand: Strand,
    sas: Mapping[SaKey, Sa],
    policies: Mapping[PolicyKey, Policy],
    names: Mapping[SaKey, SaName],
) -> tuple[Holding, list[Step]]:
    """Of what the kernel shows, what this strand is about; and the end of what is there twice, the one that is wanted
    stays. `names`: of all SAs that were there before."""
    held: dict[SaName, Sa] = {}
    doubles: list[Step] = []
    for holding in (strand.before, strand.have, strand.want):
        for name, sa in holding.sas.items():
            there = sas.get(sa.key)
            if there is not None and there.inbound == name.inbound and names.get(sa.key, name) == name:
                if name in held and held[name].key != there.key:
                    doubles.append(DropSa(name, held[name]))
                held[name] = there
    keys = strand.before.policies.keys() | strand.have.policies.keys() | strand.want.policies.keys()
    there_too = {key: policies[key] for key in keys if key in policies}
    return Holding(held, there_too, doubtful_of(held, there_too)), doubles


def doubtful_of(sas: Mapping[SaName, Sa], policies: Mapping[PolicyKey, Policy]) -> frozenset[SaName]:
    """Copies that nothing was sent over yet: a move was broken off before their counters were put right."""
    used = {
        (policy.template.reqid, policy.template.source, policy.template.destination)
        for policy in policies.values()
        if policy.template is not None and policy.key.direction is Dir.OUT
    }
    return frozenset(
        name for name, sa in sas.items() if not name.inbound and (sa.reqid, sa.source, sa.destination) not in used
    )
