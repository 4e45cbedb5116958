"""Which Child SAs there are, and what follows for the kernel: the goal of each IKE SA. Pure.

Child SAs with the same selectors share a reqid, and so their policies: a rekey changes none, and another IKE SA that
takes over (reauthentication) is let in before the old one is gone. Of those that send, the last to come is sent over.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from ipaddress import ip_address
from typing import Final, NamedTuple, TypeAlias

from mobike.address import ChildId, Path, SaId, Transport
from mobike.dataplane.operations import InstallChild, Sends
from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.selectors import Selector, outbound_selectors
from mobike.dataplane.xfrm.spared import spared
from mobike.dataplane.xfrm.state import (
    OUR_REQIDS,
    TRAP_REQIDS,
    Action,
    Encap,
    Policy,
    PolicyKey,
    Sa,
    SaName,
    Scope,
    Template,
    priority_of,
)
from mobike.dataplane.xfrm.suites import Suite, suite_of
from mobike.dataplane.xfrm.uapi import Dir

NO_PATH_IN_TCP: Final = "a kernel does not carry ESP in TCP: use the userspace plane for this connection"


_Kind: TypeAlias = tuple[tuple[Selector, ...], bool]
"""What Child SAs have in common that share a reqid: selectors, and whether they are in transport mode."""

NOBODY_THERE: Final = ip_address("192.0.0.8")
"""Both ends of the SA that a kernel asks for when traffic is waited for: it asks whatever routes there are."""


NO_SCOPE: Final = Scope()


class BookError(ValueError):
    """This Child SA cannot be carried; the message says why."""


class Sending(Enum):
    """Whether packets leave through a Child SA."""

    YES = auto()
    LATER = auto()
    NEVER = auto()


_SENDING: Final = {Sends.AT_ONCE: Sending.YES, Sends.WHEN_USED: Sending.LATER, Sends.NEVER: Sending.NEVER}


class Child(NamedTuple):
    """A Child SA that is to be carried."""

    sa: SaId
    child: ChildId
    name: str
    order: InstallChild
    suite: Suite
    reqid: int
    selectors: tuple[Selector, ...]
    sending: Sending
    scope: Scope = NO_SCOPE
    lost: bool = False
    """The kernel does not have its SAs any more: its policies stay until the engine has ended it, and block."""
    leaving: bool = False
    """Another one took its place: what is still on its way is taken for a little while."""


class Way(NamedTuple):
    """Where the Child SAs of an IKE SA go."""

    path: Path
    encap: bool
    parked: bool = False


class Book:
    """Everything that is to be carried."""

    def __init__(self, reserved: Iterable[int] = (), scopes: Mapping[str, Scope] | None = None) -> None:
        """`reserved`: reqids of what an earlier process left, which may still be adopted under them. `scopes`: by name
        of a Child SA, and of a connection, for those that have one."""
        self._scopes = scopes or {}
        self._reserved = frozenset(reserved)
        self._children: dict[ChildId, Child] = {}
        self._of: dict[SaId, dict[ChildId, None]] = {}
        self._ways: dict[SaId, Way] = {}
        self._claims: dict[Selector, dict[ChildId, None]] = {}
        self._blocked: dict[Selector, set[str]] = {}
        self._traps: dict[Selector, dict[str, int]] = {}
        self._reqids: dict[_Kind, int] = {}
        self._users: Counter[int] = Counter()
        self._later: dict[ChildId, None] = {}
        self._free: list[int] = []
        self._next = OUR_REQIDS.start
        traps = [reqid for reqid in self._reserved if reqid in TRAP_REQIDS]
        self._next_trap = max(traps, default=TRAP_REQIDS.start - 1) + 1

    def __len__(self) -> int:
        return len(self._children)

    def __contains__(self, child: ChildId) -> bool:
        return child in self._children

    def scope(self, name: str) -> Scope:
        """Of a connection, or of a Child SA."""
        return self._scopes.get(name, NO_SCOPE)

    def obey(self, scopes: Mapping[str, Scope]) -> None:
        """These and no others, for what comes from now on."""
        self._scopes = scopes

    def child(self, child: ChildId) -> Child | None:
        return self._children.get(child)

    def children(self, sa: SaId) -> list[Child]:
        return [self._children[child] for child in self._of.get(sa, ())]

    def way(self, sa: SaId) -> Way | None:
        return self._ways.get(sa)

    def install(self, order: InstallChild, *, reqid: int | None = None) -> Child:
        """Carry one more. BookError says why not. `reqid`: the one that the kernel knows it by, after a restart."""
        if order.path.transport is Transport.TCP:
            raise BookError(NO_PATH_IN_TCP)
        try:
            scope = self.scope(order.name)
            selectors = outbound_selectors(order.local_ts, order.remote_ts, scope.lane)
            suite = suite_of(order.suite)
        except ValueError as error:
            raise BookError(str(error)) from error
        if order.transport_mode and any(not _is_between(each, order.path) for each in selectors):
            raise BookError("transport mode is for what the two ends of a path send to each other, and nothing else")
        sending = _SENDING[order.sends]
        if sending is Sending.LATER and (order.instead_of is None or order.instead_of not in self._children):
            # What it was to replace is gone already.
            sending = Sending.YES
        reqid = self._reqid_of((selectors, order.transport_mode), reqid)
        child = Child(order.sa, order.child, order.name, order, suite, reqid, selectors, sending, scope)
        self._children[order.child] = child
        self._users[child.reqid] += 1
        if sending is Sending.LATER:
            self._later[order.child] = None
        self._of.setdefault(order.sa, {})[order.child] = None
        self._ways.setdefault(order.sa, Way(order.path, order.encap))
        for selector in selectors:
            self._claims.setdefault(selector, {})[order.child] = None
        return child

    def remove(self, child: ChildId) -> Child | None:
        """Carry one less; what waited for that sends from now on: ask `waiting_for` first."""
        gone = self._children.pop(child, None)
        if gone is None:
            return None
        siblings = self._of[gone.sa]
        del siblings[child]
        if not siblings:
            del self._of[gone.sa]
            del self._ways[gone.sa]
        for selector in gone.selectors:
            claims = self._claims[selector]
            del claims[child]
            if not claims:
                del self._claims[selector]
        self._later.pop(child, None)
        self._users[gone.reqid] -= 1
        if not self._users[gone.reqid]:
            del self._users[gone.reqid], self._reqids[gone.selectors, gone.order.transport_mode]
            if gone.reqid not in self._reserved:
                self._free.append(gone.reqid)
        return gone

    def is_replaced(self, child: ChildId) -> bool:
        """Is there another one of its IKE SA for the same selectors?"""
        gone = self._children.get(child)
        return gone is not None and any(
            each.reqid == gone.reqid and each.child != child and not (each.lost or each.leaving)
            for each in self.children(gone.sa)
        )

    def retire(self, child: ChildId) -> None:
        """Another one took its place: it only receives from now on."""
        self._later.pop(child, None)
        self._children[child] = self._children[child]._replace(sending=Sending.NEVER, leaving=True)

    def waiting_for(self, child: ChildId) -> list[ChildId]:
        """Those that send once this one is gone."""
        return [each for each in self._later if self._children[each].order.instead_of == child]

    def waiting(self) -> list[Child]:
        """Those that send once the peer has used them."""
        return [self._children[child] for child in self._later]

    def send(self, child: ChildId) -> Child:
        """The peer has used it, or has no other any more."""
        self._later.pop(child, None)
        sends = self._children[child] = self._children[child]._replace(sending=Sending.YES)
        return sends

    def lose(self, child: ChildId) -> None:
        """The kernel has its SAs no more, or should not."""
        self._later.pop(child, None)
        if child in self._children:
            self._children[child] = self._children[child]._replace(lost=True)

    def move(self, sa: SaId, way: Way) -> None:
        if sa in self._ways:
            self._ways[sa] = way

    def block(self, owner: str, selectors: Collection[Selector]) -> tuple[Selector, ...]:
        """What has these selectors and is not protected is thrown away, until `unblock`. Those that the owner blocked
        before, and nobody does any more. It waits for none of them, until `trap`."""
        for selector in selectors:
            self._blocked.setdefault(selector, set()).add(owner)
        return self._freed(owner, selectors)

    def trap(self, owner: str, selectors: Iterable[Selector]) -> None:
        """The next packet of these selectors that nothing protects is asked about, until `unblock`."""
        if self._next_trap not in TRAP_REQIDS:
            self._next_trap = TRAP_REQIDS.start
        for selector in selectors:
            self._traps.setdefault(selector, {})[owner] = self._next_trap
        self._next_trap += 1

    def is_trap(self, reqid: int) -> bool:
        """Is it the one by which traffic is waited for now?"""
        return any(reqid in traps.values() for traps in self._traps.values())

    def unblock(self, owner: str) -> tuple[Selector, ...]:
        """The selectors that nobody blocks any more."""
        return self._freed(owner, ())

    def _freed(self, owner: str, but: Collection[Selector]) -> tuple[Selector, ...]:
        freed = []
        for selector, traps in list(self._traps.items()):
            if traps.pop(owner, None) is not None:
                freed.append(selector)
            if not traps:
                del self._traps[selector]
        for selector, owners in list(self._blocked.items()):
            if selector not in but:
                owners.discard(owner)
            if not owners:
                del self._blocked[selector]
                freed.append(selector)
        return tuple(dict.fromkeys(freed))

    def blocked(self) -> tuple[Selector, ...]:
        """What is thrown away while nothing protects it."""
        return tuple(dict.fromkeys((*self._blocked, *self._traps)))

    def goal(self, sa: SaId, selectors: Iterable[Selector] = ()) -> Holding:
        """What should be in the kernel for an IKE SA: its SAs, and the policies of its selectors and of these."""
        way = self._ways.get(sa)
        children = self.children(sa)
        held: dict[SaName, Sa] = {}
        for child in children:
            if way is not None and not child.lost:
                held.update(_sas(child, way))
        every = dict.fromkeys((*(selector for child in children for selector in child.selectors), *selectors))
        return Holding(held, {policy.key: policy for selector in every for policy in self._policies(selector)})

    def fresh(self, sa: SaId) -> Holding | None:
        """The same as `goal` of an IKE SA with one Child SA that sends, about packets that are nobody else's: what most
        of them begin with. None: it is not like that, or not at a glance."""
        siblings, way = self._of.get(sa, {}), self._ways.get(sa)
        if len(siblings) != 1 or way is None or way.parked:
            return None
        child = self._children[next(iter(siblings))]
        if child.sending is not Sending.YES or child.lost or child.order.transport_mode:
            return None
        policies: dict[PolicyKey, Policy] = {}
        there = Template(child.reqid, way.path.local.ip, way.path.remote.ip)
        back = Template(child.reqid)
        for selector in child.selectors:
            is_wide = not (selector.source.prefixlen or selector.destination.prefixlen)
            if is_wide or selector in self._blocked or selector in self._traps or len(self._claims[selector]) > 1:
                return None
            priority = priority_of(selector, Action.PROTECT)
            out, inward, forward = _keys(selector)
            policies[out] = Policy(out, Action.PROTECT, priority, there)
            policies[inward] = Policy(inward, Action.PROTECT, priority, back)
            policies[forward] = Policy(forward, Action.PROTECT, priority, back)
        return Holding(_sas(child, way), policies)

    def _policies(self, selector: Selector) -> Iterator[Policy]:
        claims = [self._children[child] for child in self._claims.get(selector, ())]
        if claims or selector in self._blocked or selector in self._traps:
            yield from spared(selector)
        if not claims:
            yield from self._while_down(selector)
            return
        newest = claims[-1]
        sends = [child for child in claims if child.sending is Sending.YES and not child.lost]
        out, *inward = _keys(selector)
        way = self._ways[sends[-1].sa] if sends else None
        if way is None or way.parked:
            yield _blocking(out)
        else:
            last = sends[-1]
            template = Template(last.reqid, way.path.local.ip, way.path.remote.ip, last.order.transport_mode)
            yield _protecting(out, template)
        transport_mode = newest.order.transport_mode
        template = Template(newest.reqid, transport_mode=transport_mode)
        # In transport mode nothing is for those behind us.
        yield from (_protecting(key, template) for key in inward if key.direction is Dir.IN or not transport_mode)

    def _while_down(self, selector: Selector) -> Iterator[Policy]:
        """What becomes of packets that no Child SA is for."""
        out, *inward = _keys(selector)
        traps = self._traps.get(selector)
        blocked = selector in self._blocked
        if traps:
            yield _protecting(out, Template(max(traps.values()), NOBODY_THERE, NOBODY_THERE))
        elif blocked:
            yield _blocking(out)
        if blocked:
            yield from (_blocking(key) for key in inward)

    def _unused(self) -> int:
        """One that neither a Child SA has nor what an earlier process left: two sets of selectors never share one."""
        while self._next in self._users or self._next in self._reserved:
            self._next += 1
        self._next += 1
        return self._next - 1

    def _reqid_of(self, kind: _Kind, known: int | None) -> int:
        if kind in self._reqids:
            return self._reqids[kind]
        reqid = known
        if reqid is None:
            reqid = self._free.pop() if self._free else self._unused()
        if reqid not in OUR_REQIDS or reqid in TRAP_REQIDS:
            raise BookError("no reqid is left")
        self._reqids[kind] = reqid
        return reqid


def _keys(selector: Selector) -> tuple[PolicyKey, PolicyKey, PolicyKey]:
    """Outbound, inbound to us, inbound to those behind us."""
    back = selector.reversed()
    return PolicyKey(Dir.OUT, selector), PolicyKey(Dir.IN, back), PolicyKey(Dir.FWD, back)


def _blocking(key: PolicyKey) -> Policy:
    return Policy(key, Action.BLOCK, priority_of(key.selector, Action.BLOCK))


def _protecting(key: PolicyKey, template: Template) -> Policy:
    return Policy(key, Action.PROTECT, priority_of(key.selector, Action.PROTECT), template)


def _sas(child: Child, way: Way) -> dict[SaName, Sa]:
    order, scope, (path, encap, _) = child.order, child.scope, way
    here, there, lane = path.local, path.remote, scope.lane
    # The values in order, and not by name: this is done for each SA of thousands.
    held = {
        SaName(child.child, True): Sa(
            True, order.spi_in, there.ip, here.ip, child.reqid, child.suite,
            Encap(there.port, here.port) if encap else None, order.volumes,
            lane.interface, None, lane.mark, order.transport_mode,
        )
    }  # fmt: skip
    if child.sending is Sending.YES:
        held[SaName(child.child, False)] = Sa(
            False, order.spi_out, here.ip, there.ip, child.reqid, child.suite,
            Encap(here.port, there.port) if encap else None, order.volumes,
            lane.interface, lane.mark, scope.output_mark, order.transport_mode,
        )  # fmt: skip
    return held


def _is_between(selector: Selector, path: Path) -> bool:
    ends = ((selector.source, path.local.ip), (selector.destination, path.remote.ip))
    return all(network.num_addresses == 1 and network.network_address == ip for network, ip in ends)


def overlapping(selectors: Sequence[Selector], others: Iterable[Selector]) -> list[Selector]:
    """Those of `others` that take packets of `selectors`."""
    return [other for other in others if any(other.overlaps(selector) for selector in selectors)]
