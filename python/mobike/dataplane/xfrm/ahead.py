"""Where IKE SAs receive besides the address in use: at the next one, before the peer hears of it, and at those before,
until what was on its way there has come in.

A kernel finds the SA for a packet by its SPI and the address that it came to. So what comes to another address of ours
finds none, and is lost. Where the old way still works nothing need be: a copy of each inbound SA receives at the new
address first. Once traffic has moved, the copy is the SA, and the old one goes a little later. Where traffic went ahead
of the peer's answer, the peer may send to any address that it was asked to, and to the one before: a silent gateway may
be one that begins again, while its kernel carries on.

A copy knows what was received before it was made. Of what came to one address meanwhile the other does not know:
somebody who records packets within these seconds could have each of them taken once more.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import ESRCH
from typing import Final

import structlog

from mobike.address import ChildId, Ip, Nanos, SaId
from mobike.dataplane.xfrm.answers import AnswersLostError, Carries, KernelUnusableError
from mobike.dataplane.xfrm.book import Way
from mobike.dataplane.xfrm.state import Encap, Sa, SaKey, SaName, SaSeen
from mobike.dataplane.xfrm.steps import DropSa, Read, Restore, Step

log = structlog.get_logger()

EXPECTED: Final = 30_000_000_000
"""Nanoseconds that a move may take until its copies go: longer than one pair is tried before the next."""

LATE: Final = 2_000_000_000
"""Nanoseconds that the old address still receives: longer than packets are on their way."""

AGAIN: Final = 1_000_000_000
"""Nanoseconds after which one that would not go is removed once more."""


@dataclass(frozen=True, slots=True)
class Second:
    """An SA beside the one of this name."""

    name: SaName
    sa: Sa
    until: Nanos
    packets: int
    octets: int
    """When the two parted."""


@dataclass(frozen=True, slots=True)
class _Want:
    """An SA, and the copy of it that there is to be until then."""

    sa: SaId
    name: SaName
    was: Sa
    copy: Sa
    until: Nanos


class Seconds:
    """All of them. At most one for each inbound SA and address of ours."""

    def __init__(self, kernel: Carries, in_use: Container[SaKey]) -> None:
        """`in_use`: where the SAs are that these are beside."""
        self._kernel = kernel
        self._in_use = in_use
        self._stayed: dict[SaKey, Second] = {}
        """Those that should be gone, and may be there: the kernel did not say that it removed them."""
        self._again = Nanos(0)
        self._of: dict[SaId, dict[SaKey, Second]] = {}
        self._extra: dict[ChildId, tuple[int, int]] = {}
        """Packets and octets that came in at those that are gone."""

    def prepare(self, wanted: Mapping[SaId, Mapping[SaName, tuple[Sa, Sa]]], now: Nanos) -> None:
        """Copy these: what is, and its copy. One that the kernel does not take is done without."""
        wants: list[_Want] = []
        for sa, copies in wanted.items():
            mine = self._of.get(sa, {})
            for name, (was, copy) in copies.items():
                if (there := mine.get(copy.key)) is not None:
                    mine[copy.key] = replace(there, until=_after(now))
                else:
                    wants.append(_Want(sa, name, was, copy, _after(now)))
        self._copy(wants)

    def join(self, sa: SaId, name: SaName, new: Sa) -> None:
        """This one is new: it receives as well wherever others of its IKE SA do."""
        there = {second.sa.destination: second for second in self._of.get(sa, {}).values()}
        there.pop(new.destination, None)
        for second in there.values():
            like = second.sa
            copy = new._replace(source=like.source, destination=like.destination, encap=like.encap)
            self._copy([_Want(sa, name, new, copy, second.until)])

    def _copy(self, wants: Sequence[_Want]) -> None:
        if not wants:
            return
        try:
            seen = self._kernel.run([Read(want.name, want.was, keys=True) for want in wants], {}).seen
            wants = [want for want in wants if want.name in seen]
            done = self._kernel.run([Restore(want.name, want.copy) for want in wants], {})
        except (AnswersLostError, KernelUnusableError) as error:
            log.warning("kernel.unanswered", why=str(error))
            self._remove([Second(want.name, want.copy, want.until, 0, 0) for want in wants])
            return
        for place, want in enumerate(wants):
            if place in done.refusals:
                log.info("kernel.no_copy", child=want.name.child, why=str(done.refusals[place]))
                continue
            parted = seen[want.name]
            second = Second(want.name, want.copy, want.until, parted.packets, parted.octets)
            self._of.setdefault(want.sa, {})[want.copy.key] = second

    def arrive(self, sa: SaId, here: Ip, held: Mapping[SaName, Sa], until: Nanos) -> dict[SaName, Sa]:
        """Traffic of this IKE SA moves to this address of ours: by what the kernel has there already. What it leaves
        receives until then."""
        mine = self._of.get(sa, {})
        found: dict[SaName, Sa] = {}
        for second in [each for each in mine.values() if each.sa.destination == here]:
            del mine[second.sa.key]
            was = held.get(second.name)
            if was is None:
                self._drop([second])
                continue
            found[second.name] = second.sa
            mine[was.key] = replace(second, sa=was, until=until)
        return found

    def settle(self, sa: SaId) -> None:
        """None of this IKE SA any more: it is to be where one might be in the way."""
        self._drop(self._of.pop(sa, {}).values())

    def forget(self, sa: SaId, child: ChildId) -> None:
        """None of this Child SA any more."""
        mine = self._of.get(sa, {})
        self._drop([mine.pop(key) for key, second in list(mine.items()) if second.name.child == child])
        if not mine:
            self._of.pop(sa, None)
        self._extra.pop(child, None)

    def wake(self, now: Nanos) -> None:
        """Those whose time is over go."""
        for sa, mine in list(self._of.items()):
            self._drop([mine.pop(key) for key, second in list(mine.items()) if second.until <= now])
            if not mine:
                del self._of[sa]
        if self._again <= now:
            self._again = Nanos(now + AGAIN)
            stayed, self._stayed = self._stayed, {}
            # Where there is one that should be, this one has gone after all.
            here = {second.sa.key for second in self._every()} if stayed else set()
            self._remove([each for key, each in stayed.items() if key not in here and key not in self._in_use])

    def next_due(self) -> Nanos | None:
        due = min((second.until for second in self._every()), default=None)
        return min(due or self._again, self._again) if self._stayed else due

    def removals(self) -> list[Step]:
        return [DropSa(second.name, second.sa) for second in (*self._every(), *self._stayed.values())]

    def carried(self, sa: SaId, child: ChildId) -> tuple[int, int]:
        """Packets and octets that came in elsewhere than at the SA in use."""
        packets, octets = self._extra.get(child, (0, 0))
        for second in self._of.get(sa, {}).values():
            if second.name.child == child:
                for seen in self._kernel.look([(second.name, second.sa)]).values():
                    packets, octets = packets + seen.packets - second.packets, octets + seen.octets - second.octets
        return packets, octets

    def _every(self) -> Iterator[Second]:
        return (second for mine in self._of.values() for second in mine.values())

    def _drop(self, gone: Iterable[Second]) -> None:
        seen = self._remove(list(gone))
        for second, last in seen:
            child = ChildId(second.name.child)
            packets, octets = self._extra.get(child, (0, 0))
            self._extra[child] = (packets + last.packets - second.packets, octets + last.octets - second.octets)

    def _remove(self, seconds: Sequence[Second]) -> list[tuple[Second, SaSeen]]:
        """As they were last."""
        at: dict[Ip, list[Second]] = {}
        for second in seconds:
            at.setdefault(second.sa.destination, []).append(second)
        # What is read is known by its name, which is the same at each address.
        return [each for there in at.values() for each in self._remove_there(there)]

    def _remove_there(self, seconds: Sequence[Second]) -> list[tuple[Second, SaSeen]]:
        steps: list[Step] = [Read(second.name, second.sa) for second in seconds]
        try:
            done = self._kernel.run(steps + [DropSa(second.name, second.sa) for second in seconds], {})
        except (AnswersLostError, KernelUnusableError) as error:
            log.warning("kernel.unanswered", why=str(error))
            self._stayed |= {second.sa.key: second for second in seconds}
            return []
        for place, second in enumerate(seconds, start=len(seconds)):
            if place in done.refusals and done.refusals[place].error != ESRCH:
                log.warning("kernel.copy_stays", child=second.name.child, why=str(done.refusals[place]))
                self._stayed[second.sa.key] = second
        return [(second, done.seen[second.name]) for second in seconds if second.name in done.seen]


def copies_of(held: Mapping[SaName, Sa], way: Way) -> dict[SaName, tuple[Sa, Sa]]:
    """Of each inbound SA: as it is, and as it would be on this way."""
    local, remote = way.path.local, way.path.remote
    ports = Encap(remote.port, local.port) if way.encap else None
    return {
        name: (sa, sa._replace(source=remote.ip, destination=local.ip, encap=ports))
        for name, sa in held.items()
        if name.inbound
    }


def _after(now: Nanos) -> Nanos:
    return Nanos(now + EXPECTED)
