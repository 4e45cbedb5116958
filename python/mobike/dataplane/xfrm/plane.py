"""The kernel as a data plane: orders in, the kernel brought to where it should be, words out.

What is decided is decided in `book`, `plan`, `mend` and `watch`; `hands` joins them to a kernel, which answers at once.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, Self

import structlog

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId, Transport
from mobike.commands import ChildInstalled, ChildRefused, ChildSpent, ChildWorn, Move, PeerMapped, PlaneWord
from mobike.dataplane.operations import Behind, ChildOrder, InstallChild, MoveSa, Operation, Park, RemoveChild
from mobike.dataplane.xfrm import adopt
from mobike.dataplane.xfrm.ahead import EXPECTED, LATE, Seconds, copies_of
from mobike.dataplane.xfrm.answers import AnswersLostError, Carries, KernelUnusableError
from mobike.dataplane.xfrm.book import NO_PATH_IN_TCP, Book, BookError, Child, Sending, Way, overlapping
from mobike.dataplane.xfrm.hands import Hands, fault_of_ours
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.meddling import MEDDLED, OVERFLOWN, Meddling
from mobike.dataplane.xfrm.mend import Ended
from mobike.dataplane.xfrm.monitor import Monitor
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.probe import probe
from mobike.dataplane.xfrm.read import Acquire, Expired, MappingChanged, News, Removed
from mobike.dataplane.xfrm.selectors import Selector, outbound_selectors, wanted_by
from mobike.dataplane.xfrm.state import Sa, SaName, SaSeen, Scope
from mobike.dataplane.xfrm.tasks import Ports, Task, Touched
from mobike.dataplane.xfrm.watch import CALM, EAGER, SOON, Watch
from mobike.events import PlaneEvent, PlaneRefused, Role, SaMoved
from mobike.selector import Traffic

log = structlog.get_logger()

ORPHANS_AFTER: Final = 30_000_000_000
"""Nanoseconds after which what an earlier process left behind and nobody adopted is removed."""

LINGER: Final = 2_000_000_000
"""Nanoseconds that a replaced Child SA still receives: longer than packets are on their way."""

NOBODY: Final = SaId(-1)
"""The IKE SA of policies that block what no tunnel carries."""


class TellsNews(Protocol):
    """What the kernel tells unasked."""

    def fileno(self) -> int: ...

    def take(self) -> tuple[list[News], bool]: ...

    def close(self) -> None: ...


class XfrmPlane:
    """Carries Child SAs in the kernel."""

    def __init__(
        self,
        kernel: Carries,
        news: TellsNews,
        means: Means,
        ports: Ports,
        scopes: Mapping[str, Scope] | None = None,
    ) -> None:
        """`kernel` is looked at once: what is ours in it is there to be adopted. `scopes`: as in `Book`."""
        self._kernel = kernel
        self._news = news
        self._means = means
        self._ports = ports
        self._watch = Watch()
        self._leaving: dict[ChildId, Nanos] = {}
        self._worn: set[ChildId] = set()
        self._words: list[PlaneWord] = []
        self._events: list[PlaneEvent] = []
        self._now = Nanos(0)
        self._orphans_due: Nanos | None = None
        left = adopt.Left.of(kernel.sas(), kernel.policies())
        self._book = Book(left.reqids(), scopes)
        self._hands = Hands(kernel, means, self._book, left, self)
        self._seconds = Seconds(kernel, self._hands.names)
        self.acquired = 0
        """Packets that found a policy and no SA."""

    @classmethod
    def open(
        cls,
        *,
        always_encap: bool,
        ike_port: int,
        natt_port: int,
        scopes: Mapping[str, Scope] | None = None,
        restores: bool = False,
    ) -> Self:
        """OSError says why there is no kernel plane here, and what to do about it. `restores`: SAs are moved by
        removing and adding them, whatever else this kernel can."""
        kernel = Kernel()
        can = probe(kernel)
        if restores:
            can = can.restoring()
        if not can.usable:
            kernel.close()
            raise KernelUnusableError(can.why_not)
        kernel.knows_direction = can.knows_direction
        for line in can.lines():
            log.info("kernel.can", line=line)
        return cls(kernel, Monitor(kernel.port), can.means, Ports(ike_port, natt_port, always_encap), scopes)

    def fds(self) -> tuple[int, ...]:
        """Readable while the kernel has news."""
        return (self._news.fileno(),)

    def close(self, *, keep: bool) -> None:
        """Let go of the kernel. `keep`: what is in it stays, for a process that comes after."""
        if not keep:
            self._kernel.run(self._seconds.removals() + self._hands.removals(), {})
        self._hands.keys.clear()
        self._news.close()
        if isinstance(self._kernel, Kernel):
            self._kernel.close()

    # --- what a turn calls ---

    def wake(self, now: Nanos) -> None:
        """Take news, look at counters that are due."""
        self._now = now
        if self._orphans_due is None:
            self._orphans_due = Nanos(now + ORPHANS_AFTER)
        elif self._hands.left and now >= self._orphans_due:
            self.remove_orphans()
        self._seconds.wake(now)
        self._hands.wake(now)
        self._let_go([child for child, at in self._leaving.items() if at <= now])
        news, lost = self._news.take()
        for each in news:
            self._hear(each)
        if lost:
            log.warning("kernel.overflow", why=OVERFLOWN)
        gone = Meddling.of(news, lost=lost)
        if gone.policies:
            self._restore_policies()
        due = dict.fromkeys(self._watch.due(now))
        if gone.any_sa:
            due.update(dict.fromkeys(child for sa in self._hands.sas for child in self._children_of(sa)))
        # One that expired may be the SA that a copy was made of, with the address and SPI of the copy.
        keys = (*gone.sas, *(each.key for each in news if isinstance(each, Expired) and each.hard))
        due.update(dict.fromkeys(ChildId(self._hands.names[key].child) for key in keys if key in self._hands.names))
        if due:
            self._look(list(due))

    def poll_deadline(self) -> Nanos | None:
        waits = [self._watch.next_due(), self._seconds.next_due(), min(self._leaving.values(), default=None)]
        waits.append(self._hands.poll_deadline())
        if self._hands.left and self._orphans_due is not None:
            waits.append(self._orphans_due)
        return min((at for at in waits if at is not None), default=None)

    def carry(self, orders: Sequence[ChildOrder]) -> None:
        """Child SAs in and out. Those of one IKE SA are brought in before others are taken out."""
        touched: dict[SaId, Touched] = {}
        for order in orders:
            each = touched.setdefault(order.sa, Touched())
            if isinstance(order, RemoveChild):
                self._remove(order.child, each)
                continue
            try:
                self._install(order, each)
            except Exception as fault:
                self._words.append(ChildRefused(order.child, fault_of_ours(fault)))
        self._hands.settle({sa: each for sa, each in touched.items() if each.changed})

    def foresee(self, moves: Sequence[Move]) -> None:
        """What peers send to the new address finds an SA there before they hear of it."""
        wanted = {}
        for move in moves:
            way = self._book.way(move.sa)
            if way is None or way.parked or Means.TAKE not in self._means or move.path.transport is Transport.TCP:
                continue
            if move.path.local.ip != way.path.local.ip:
                held = self._hands.sas.get(move.sa, {})
                wanted[move.sa] = copies_of(held, self._ports.way(move.path, way.encap))
        self._seconds.prepare(wanted, self._now)

    def apply(self, operations: Sequence[Operation]) -> None:
        """Moves, each answered by an event."""
        touched: dict[SaId, Touched] = {}
        for operation in operations:
            old = self._book.way(operation.sa)
            if isinstance(operation, Park):
                if old is not None:
                    self._book.move(operation.sa, Way(old.path, old.encap, parked=True))
                    touched.setdefault(operation.sa, Touched()).changed = True
            elif operation.path.transport is Transport.TCP:
                self._events.append(PlaneRefused(operation.sa, NO_PATH_IN_TCP))
            elif old is None:
                self._events.append(SaMoved(operation.sa, operation.path))
            else:
                way = self._ports.way(operation.path, operation.encap)
                if way.path.local.ip != old.path.local.ip:
                    self._arrive(operation, way)
                self._book.move(operation.sa, way)
                each = touched.setdefault(operation.sa, Touched())
                each.changed, each.move, each.old_way = True, operation, each.old_way or old
        self._hands.settle(touched)

    def _arrive(self, move: MoveSa, way: Way) -> None:
        """SAs that are there already are those in use from now on; the others receive as long as something may come."""
        held = self._hands.sas.get(move.sa, {})
        if move.behind is not Behind.NOTHING and Means.TAKE in self._means:
            self._seconds.prepare({move.sa: copies_of(held, way)}, self._now)
        until = Nanos(self._now + (EXPECTED if move.behind is Behind.MORE else LATE))
        self._hands.replace(move.sa, self._seconds.arrive(move.sa, way.path.local.ip, held, until))

    def words(self) -> list[PlaneWord]:
        words, self._words = self._words, []
        return words

    def take(self) -> list[PlaneEvent]:
        events, self._events = self._events, []
        return events

    def carried(self, child: ChildId) -> dict[str, int] | None:
        """As the kernel counts now; None also where it does not answer."""
        wanted = self._names_of(child)
        if not wanted:
            return None
        try:
            seen = self._kernel.look(wanted)
        except (AnswersLostError, KernelUnusableError) as error:
            log.warning("kernel.unanswered", why=str(error))
            return None
        counted = {"packets_in": 0, "bytes_in": 0, "packets_out": 0, "bytes_out": 0}
        for name, each in seen.items():
            way = "in" if name.inbound else "out"
            counted[f"packets_{way}"], counted[f"bytes_{way}"] = each.packets, each.octets
        known = self._book.child(child)
        elsewhere = (0, 0) if known is None else self._seconds.carried(known.sa, child)
        counted["packets_in"], counted["bytes_in"] = (
            counted["packets_in"] + elsewhere[0],
            counted["bytes_in"] + elsewhere[1],
        )
        return counted

    # --- what is thrown away while no tunnel is up ---

    def block(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """Packets of these selectors, and no others of the owner's, leave protected or not at all, until `unblock`."""
        selectors = self._selectors(owner, traffic)
        freed = self._book.block(owner, selectors)
        self._hands.settle({NOBODY: Touched(changed=True, selectors=dict.fromkeys((*selectors, *freed)))})

    def wait_for(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """Packets that only a tunnel of this owner would take make the kernel ask for an SA."""
        selectors = self._selectors(owner, traffic)
        self._book.trap(owner, selectors)
        self._hands.settle({NOBODY: Touched(changed=True, selectors=selectors)})

    def _selectors(self, owner: str, traffic: Sequence[Traffic]) -> dict[Selector, None]:
        lane = self._book.scope(owner).lane
        return dict.fromkeys(each for local, remote in traffic for each in outbound_selectors(local, remote, lane))

    def obey(self, scopes: Mapping[str, Scope]) -> None:
        """Child SAs that come from now on, and what is blocked or waited for from now on, keep to these."""
        self._book.obey(scopes)

    def unblock(self, owner: str) -> None:
        self._hands.settle({NOBODY: Touched(changed=True, selectors=dict.fromkeys(self._book.unblock(owner)))})

    # --- what was there before us ---

    def remove_orphans(self) -> tuple[str, ...]:
        """What is ours and nobody adopted goes; one line for each."""
        wanted = {key for sa in self._hands.sas for key in self._book.goal(sa).policies}
        wanted |= self._book.goal(NOBODY, self._book.blocked()).policies.keys()
        lines = self._hands.remove_orphans(wanted)
        for line in lines:
            log.warning("kernel.orphan", what=line)
        return lines

    # --- Child SAs ---

    def _install(self, order: InstallChild, touched: Touched) -> None:
        found: Mapping[SaName, SaSeen] = {}
        if order.keys is None:
            found = self._hands.left.take(order)
            if not found:
                self._words.append(ChildRefused(order.child, "the kernel does not have it any more"))
                return
        try:
            child = self._book.install(order, reqid=adopt.reqid_of(found))
        except BookError as error:
            self._hands.left.put_back(found.values())
            self._words.append(ChildRefused(order.child, str(error)))
            return
        self._hands.adopt(order.sa, found)
        if order.keys is not None:
            self._hands.keys[order.child] = order.keys
        elif child.sending is Sending.LATER:
            self._book.send(order.child)
        for other in overlapping(child.selectors, self._hands.left.foreign_before_ours()):
            log.warning(
                "kernel.foreign_policy", selector=str(other), why="it is asked before ours and may take packets"
            )
        touched.changed = True
        touched.installs.append(order.child)

    def _remove(self, child: ChildId, touched: Touched) -> None:
        known = self._book.child(child)
        if known is None or known.leaving:
            return
        for waiting in self._book.waiting_for(child):
            self._watch_child(self._book.send(waiting))
        self._watch.remove(child)
        self._worn.discard(child)
        self._forget_keys(known, at_once=True)
        if child in touched.installs:
            touched.installs.remove(child)
        touched.changed = True
        there = SaName(child, True) in self._hands.sas.get(known.sa, {})
        if there and self._book.is_replaced(child) and not known.lost:
            self._book.retire(child)
            self._leaving[child] = Nanos(self._now + LINGER)
            return
        self._forget(child, touched)
        rest = self._book.children(known.sa)
        if all(each.leaving for each in rest):
            for each in rest:
                self._forget(each.child, touched)

    def _forget(self, child: ChildId, touched: Touched) -> None:
        self._leaving.pop(child, None)
        gone = self._book.remove(child)
        if gone is not None:
            self._seconds.forget(gone.sa, child)
            touched.changed = True
            touched.selectors.update(dict.fromkeys(gone.selectors))

    def _let_go(self, children: Sequence[ChildId]) -> None:
        """Those that were replaced a while ago."""
        touched: dict[SaId, Touched] = {}
        for child in children:
            known = self._book.child(child)
            if known is not None:
                self._forget(child, touched.setdefault(known.sa, Touched()))
        self._hands.settle(touched)

    def _watch_child(self, known: Child) -> None:
        eager = EAGER if known.order.role is Role.INITIATOR else CALM
        self._watch.add(known.child, known.sa, SOON if known.sending is Sending.LATER else eager, self._now)

    # --- who waits is told ---

    def came(self, child: ChildId) -> None:
        """It is there."""
        self._words.append(ChildInstalled(child))
        known = self._book.child(child)
        if known is not None:
            inbound = SaName(child, True)
            if (there := self._hands.sas.get(known.sa, {}).get(inbound)) is not None:
                self._seconds.join(known.sa, inbound, there)
            self._watch_child(known)
            self._forget_keys(known)

    def ended(self, task: Task) -> None:
        """An IKE SA is where it should be, or as near as the kernel let it come."""
        for child, why in task.strand.lost.items():
            self._lose(ChildId(child), why, refused=child in task.installs)
        for child in task.installs:
            if child not in task.strand.lost:
                self.came(child)
        if task.move is not None:
            self._tell_move(task, task.move)

    def _tell_move(self, task: Task, move: MoveSa) -> None:
        if task.strand.ended is Ended.DONE:
            self._events.append(SaMoved(move.sa, move.path))
        else:
            if task.old_way is not None:
                self._book.move(move.sa, task.old_way)
                self._seconds.settle(move.sa)  # it may be in the way of what goes back there
            self._events.append(PlaneRefused(move.sa, task.strand.why or "the kernel did not take it"))
        for child in self._children_of(move.sa):
            self._watch.moved(child)

    def _lose(self, child: ChildId, why: str, *, refused: bool) -> None:
        known = self._book.child(child)
        if known is None or known.lost:
            return
        log.warning("kernel.lost", child=child, why=why)
        self._watch.remove(child)
        self._book.lose(child)
        self._forget_keys(known, at_once=True)
        if known.leaving:
            self._leaving[child] = self._now  # the core has forgotten it already
        else:
            self._words.append(ChildRefused(child, why) if refused else ChildSpent(child))

    def _forget_keys(self, known: Child, *, at_once: bool = False) -> None:
        """Those of an SA that is still to be put in stay."""
        if at_once or known.sending is not Sending.LATER:
            keys = self._hands.keys.pop(known.child, None)
            if keys is not None:
                keys.wipe()

    # --- what the kernel tells ---

    def _hear(self, news: News) -> None:
        match news:
            case Acquire(reqid, wanted):
                self.acquired += 1
                if self._book.is_trap(reqid):
                    self._events.append(wanted_by(wanted))
            case Expired(key, _, hard):
                name = self._hands.names.get(key)
                if hard:
                    self._hands.left.sas.pop(key, None)  # what is in use is looked at, see `wake`
                elif name is not None:
                    self._wear(ChildId(name.child))
            case Removed():
                pass  # of all of them together, see `wake`
            case MappingChanged(key, _, source, port):
                name = self._hands.names.get(key)
                known = None if name is None else self._book.child(ChildId(name.child))
                way = None if known is None else self._book.way(known.sa)
                if known is not None and way is not None:
                    self._words.append(PeerMapped(known.sa, Path(way.path.local, Endpoint(source, port))))

    def _restore_policies(self) -> None:
        """Some of ours may not be there any more: what they protect or block must not leave in the clear."""
        try:
            there = {seen.policy.key for seen in self._kernel.policies() if seen.ours}
        except (AnswersLostError, KernelUnusableError) as error:
            log.warning("kernel.unanswered", why=str(error))
            return
        missing = self._hands.policies.keys() - there
        if not missing:
            return
        for key in missing:
            log.warning("kernel.meddled", policy=f"{key.direction.name.lower()} {key.selector}", why=MEDDLED)
            del self._hands.policies[key]
        touched = {sa: Touched(changed=True) for sa in self._hands.sas if self._book.goal(sa).policies.keys() & missing}
        self._hands.settle({**touched, NOBODY: Touched(changed=True, selectors=dict.fromkeys(self._book.blocked()))})

    def _wear(self, child: ChildId) -> None:
        """Both directions come near their limit one after the other; once is enough."""
        known = self._book.child(child)
        if known is not None and not known.leaving and child not in self._worn:
            self._worn.add(child)
            self._words.append(ChildWorn(child))

    def _gone(self, child: Child) -> None:
        """An SA of it is not in the kernel any more, and not by our hand. Both are removed: of one that is there after
        all nobody would know any more."""
        if child.leaving:
            self._let_go([child.child])
            return
        self._lose(child.child, "the kernel does not have its SA any more", refused=False)
        self._hands.settle({child.sa: Touched(changed=True)})

    def _look(self, children: Sequence[ChildId]) -> None:
        names_of = {child: self._names_of(child) for child in children}
        try:
            seen = self._kernel.look([pair for names in names_of.values() for pair in names])
        except (AnswersLostError, KernelUnusableError) as error:
            log.warning("kernel.unanswered", why=str(error))
            return
        for child, names in names_of.items():
            known = self._book.child(child)
            if known is None:
                continue
            if any(name not in seen for name, _ in names):
                self._gone(known)
                continue
            counted = {name.inbound: seen[name].packets for name, _ in names}
            self._used(child, counted.get(True, 0))
            word = self._watch.saw(child, counted.get(True, 0), counted.get(False, 0))
            if word is not None:
                self._words.append(word)

    def _used(self, child: ChildId, packets: int) -> None:
        """The peer sends on a new pair: so do we."""
        known = self._book.child(child)
        if known is not None and known.sending is Sending.LATER and packets:
            known = self._book.send(child)
            self._hands.settle({known.sa: Touched(changed=True)})
            self._watch_child(known)
            self._forget_keys(known)

    def _names_of(self, child: ChildId) -> list[tuple[SaName, Sa]]:
        known = self._book.child(child)
        held = {} if known is None else self._hands.sas.get(known.sa, {})
        return [(name, held[name]) for name in (SaName(child, True), SaName(child, False)) if name in held]

    def _children_of(self, sa: SaId) -> list[ChildId]:
        return [child.child for child in self._book.children(sa)]


__all__ = ["Ports", "XfrmPlane"]
