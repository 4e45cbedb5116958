"""What the kernel holds of ours, and the work of bringing it to where it should be.

The goals come from `book`, the steps from `plan` and `mend`, short ways from `fresh`; this sends them, reads each
answer, and writes down what is there now. Who waits for a Child SA or a move is told by `plane`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from mobike.address import ChildId, Nanos, SaId
from mobike.dataplane.operations import SealedKeys
from mobike.dataplane.xfrm import adopt
from mobike.dataplane.xfrm.answers import AnswersLostError, Carries, KernelUnusableError
from mobike.dataplane.xfrm.book import Book
from mobike.dataplane.xfrm.clash import clashes, newcomers
from mobike.dataplane.xfrm.fresh import Fresh, put_in, strands_of
from mobike.dataplane.xfrm.mend import Ended, Strand
from mobike.dataplane.xfrm.plan import Holding, Means
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.spared import spared
from mobike.dataplane.xfrm.state import Policy, PolicyKey, Sa, SaKey, SaName, SaSeen
from mobike.dataplane.xfrm.steps import Step
from mobike.dataplane.xfrm.tasks import Task, Touched
from mobike.dataplane.xfrm.uapi import Dir

log = structlog.get_logger()

STRANDS_AT_ONCE: Final = 16
"""IKE SAs that are moved together: more would be blocked for longer, fewer would send more often."""

MOST_RESYNCS: Final = 3
"""Times that lost answers are made good by looking, before whoever waits is told that it did not come about."""

STUCK_FOR: Final = 1_000_000_000
"""Nanoseconds until an IKE SA that the kernel did not bring where it should be is tried again."""

_UNANSWERED: Final = (AnswersLostError, KernelUnusableError)


class Waits(Protocol):
    """Who is told how it went, while the rest is still to be done: a Child SA that is given up is in nobody's goal."""

    def came(self, child: ChildId) -> None: ...

    def ended(self, task: Task) -> None: ...


class Hands:
    """Knows what is there, and changes it."""

    def __init__(self, kernel: Carries, means: Means, book: Book, left: adopt.Left, waits: Waits) -> None:
        """`left`: what an earlier process left in the kernel, nobody's yet."""
        self._kernel = kernel
        self._means = means
        self._book = book
        self._waits = waits
        self.left = left
        self.sas: dict[SaId, dict[SaName, Sa]] = {}
        self.policies: dict[PolicyKey, Policy] = dict(left.policies)
        self.names: dict[SaKey, SaName] = {}
        self.keys: dict[int, SealedKeys] = {}
        """Of Child SAs of which something is still to be put in."""
        self._doubtful: set[SaName] = set()
        self._stuck: dict[SaId, tuple[Nanos, dict[Selector, None]]] = {}
        self._now = Nanos(0)

    def wake(self, now: Nanos) -> None:
        """Try again what did not come about."""
        self._now = now
        self.settle({sa: Touched(changed=True, selectors=each) for sa, (at, each) in self._stuck.items() if at <= now})

    def poll_deadline(self) -> Nanos | None:
        return min((at for at, _ in self._stuck.values()), default=None)

    def adopt(self, sa: SaId, found: Mapping[SaName, SaSeen]) -> None:
        """These are there already."""
        seen = {name: each.sa for name, each in found.items()}
        if seen:
            self.sas.setdefault(sa, {}).update(seen)
            self._doubtful |= adopt.doubtful_of(seen, self.policies)

    def replace(self, sa: SaId, there: Mapping[SaName, Sa]) -> None:
        """Others of the same Child SAs are those in use from now on."""
        held = self.sas.get(sa, {})
        for name, other in there.items():
            self.names.pop(held[name].key, None)
            held[name] = other
            self.names[other.key] = name

    def remove_orphans(self, wanted: Iterable[PolicyKey]) -> tuple[str, ...]:
        """What is ours and nobody adopted goes; one line for each."""
        wanted = set(wanted)
        orphans = {key: policy for key, policy in self.left.policies.items() if key not in wanted}
        lines = tuple(self.left.lines(orphans))
        try:
            self._kernel.run(adopt.removals({}, self.left, orphans), {})
        except _UNANSWERED as error:
            log.warning("kernel.unanswered", why=str(error))
            return ()  # they are orphans still
        for key in orphans:
            self.policies.pop(key, None)
        self.left = adopt.Left({}, {}, self.left.foreign)
        return lines

    def removals(self) -> list[Step]:
        """What takes away all that is ours."""
        return adopt.removals(
            {name: sa for sas in self.sas.values() for name, sa in sas.items()}, self.left, self.policies
        )

    def settle(self, touched: Mapping[SaId, Touched]) -> None:
        """Bring these IKE SAs to where they should be."""
        fresh = self._fresh(touched)
        for first in range(0, len(fresh), STRANDS_AT_ONCE):
            self._put_in(fresh[first : first + STRANDS_AT_ONCE])
        begun = {each.sa for each in fresh}
        chunk: list[Task] = []
        busy: set[PolicyKey | SaKey] = set()
        for sa, each in touched.items():
            if sa in begun:
                continue
            task = self._task(sa, each)
            if len(chunk) == STRANDS_AT_ONCE or task.keys & busy:
                self._run(chunk)
                chunk, busy = [], set()
                task = self._task(sa, each)  # what it begins from may have changed
            chunk.append(task)
            busy |= task.keys
        self._run(chunk)

    def _fresh(self, touched: Mapping[SaId, Touched]) -> list[Fresh]:
        """Those that nothing is there for, and that have to do with no others."""
        found: list[Fresh] = []
        freed = {selector for each in touched.values() for selector in each.selectors}
        taken: set[SaKey] = set()
        for sa, each in touched.items():
            if len(each.installs) != 1 or each.move is not None or sa in self.sas or sa in self._stuck:
                continue
            want = self._book.fresh(sa)
            if want is None or not self.policies.keys().isdisjoint(want.policies):
                continue
            if freed and any(key.selector in freed for key in want.policies):
                continue
            receives, sends = want.sas.values()
            one, other = come = receives.key, sends.key
            if one == other or not (taken.isdisjoint(come) and self._nobodys(one) and self._nobodys(other)):
                continue
            taken.update(come)
            found.append(Fresh(sa, each.installs[0], want, come))
        return found

    def _nobodys(self, key: SaKey) -> bool:
        return key not in self.names and key not in self.left.sas

    def _put_in(self, fresh: Sequence[Fresh]) -> None:
        try:
            strands = put_in(self._kernel, fresh, self._means, self.keys)
        except Exception as fault:
            why = str(fault) if isinstance(fault, _UNANSWERED) else fault_of_ours(fault)
            tasks = [
                Task(each.sa, strand, installs=[each.child])
                for each, strand in zip(fresh, strands_of(fresh, self._means), strict=True)
            ]
            self._resync(tasks, why)
        else:
            if strands is None:
                self._all_there(fresh)
                return
            tasks = [Task(each.sa, strand, installs=[each.child]) for each, strand in zip(fresh, strands, strict=True)]
            self._run(tasks)
            return
        for task in tasks:
            self._finish(task)

    def _all_there(self, fresh: Sequence[Fresh]) -> None:
        """What `_finish` does where all went well and nothing was there before."""
        for sa, child, want, keys in fresh:
            self.policies.update(want.policies)
            self.sas[sa] = dict(want.sas)
            self.names.update(zip(keys, want.sas, strict=True))
            self._waits.came(child)

    def _task(self, sa: SaId, touched: Touched) -> Task:
        selectors = tuple(touched.selectors)
        want = self._book.goal(sa, selectors)
        have = self._have(sa, want, selectors)
        strand = Strand.begin(have, want, self._means, clashes(have, want, self._is_taken))
        return Task(
            sa, strand, touched.move, touched.old_way, list(touched.installs), touched.selectors, newcomers(have, want)
        )

    def _is_taken(self, key: SaKey, name: SaName) -> bool:
        """By another Child SA, or by one that an earlier process left and that may still be adopted."""
        return self.names.get(key, name) != name or key in self.left.sas

    def _have(self, sa: SaId, want: Holding, selectors: Iterable[Selector]) -> Holding:
        keys = set(want.policies)
        for selector in selectors:
            back = selector.reversed()
            keys |= {PolicyKey(Dir.OUT, selector), PolicyKey(Dir.IN, back), PolicyKey(Dir.FWD, back)}
            keys |= {policy.key for policy in spared(selector)}
        held = {key: self.policies[key] for key in keys if key in self.policies}
        sas = dict(self.sas.get(sa, {}))
        return Holding(sas, held, frozenset(self._doubtful & sas.keys()))

    def _run(self, tasks: Sequence[Task]) -> None:
        try:
            self._waves(tasks)
        except (AnswersLostError, KernelUnusableError) as error:
            log.error("kernel.unanswered", why=str(error))
            self._resync(tasks, str(error))
        except Exception as fault:
            why = fault_of_ours(fault)
            for task in tasks:
                self._resync([task], why)  # without the others: one of them met it
        for task in tasks:
            self._finish(task)

    def _waves(self, tasks: Sequence[Task]) -> None:
        while moving := [task for task in tasks if task.strand.next_wave()]:
            steps: list[Step] = []
            places = []
            for task in moving:
                wave = task.strand.next_wave()
                places.append((task.strand, range(len(steps), len(steps) + len(wave))))
                steps += wave
            done = self._kernel.run(steps, self.keys)
            for strand, span in places:
                refused = {place - span.start: done.refusals[place] for place in span if place in done.refusals}
                strand.answered(refused)

    def _finish(self, task: Task) -> None:
        """Write down what the kernel holds now, and tell who waits."""
        strand = task.strand
        gone = strand.before.policies.keys() - strand.have.policies.keys()
        if strand.have is not strand.want:
            gone |= strand.want.policies.keys() - strand.have.policies.keys()
        for key in gone:
            self.policies.pop(key, None)
        self.policies.update(strand.have.policies)
        for sa in self.sas.pop(task.sa, {}).values():
            self.names.pop(sa.key, None)
        if self._doubtful or strand.have.doubtful:
            self._doubtful -= strand.before.sas.keys() | strand.have.sas.keys()
            self._doubtful |= strand.have.doubtful
        if strand.have.sas:
            self.sas[task.sa] = dict(strand.have.sas)
            self.names.update({sa.key: name for name, sa in strand.have.sas.items()})
        self._waits.ended(task)
        earlier = self._stuck.pop(task.sa, None)
        if strand.ended is not Ended.DONE:
            selectors = task.selectors | (earlier[1] if earlier else {})
            self._stuck[task.sa] = (Nanos(self._now + STUCK_FOR), selectors)

    def _resync(self, tasks: Sequence[Task], why: str) -> None:
        """Answers were lost, or we failed: see what is there, and begin anew from that."""
        for _ in range(MOST_RESYNCS):
            if not self._see(tasks):
                break
            try:
                self._waves(tasks)
            except (AnswersLostError, KernelUnusableError) as error:
                why = str(error)
            except Exception as fault:
                why = fault_of_ours(fault)
            else:
                return
        self._see(tasks)
        for task in tasks:
            task.strand.stop(why)

    def _see(self, tasks: Sequence[Task]) -> bool:
        """Let them begin from what the kernel shows; False: it shows nothing."""
        try:
            sas = {seen.sa.key: seen.sa for seen in self._kernel.sas() if seen.ours}
            policies = {seen.policy.key: seen.policy for seen in self._kernel.policies() if seen.ours}
            there = [adopt.what_is_there(task.strand, sas, policies, self.names) for task in tasks]
            # A copy that was to go and did not.
            self._kernel.run([step for _, doubles in there for step in doubles], {})
        except _UNANSWERED:
            return False
        for task, (holding, _) in zip(tasks, there, strict=True):
            task.strand.begin_again(holding)
        return True


def fault_of_ours(fault: Exception) -> str:
    """What whoever it concerns is told. Nobody else may suffer from it."""
    log.exception("kernel.fault", text=repr(fault))
    return f"a fault of the data plane: {fault!r}"
