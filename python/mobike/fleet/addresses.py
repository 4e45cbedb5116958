"""The local addresses of this host, as link events tell of them, and as each connection may use them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mobike.address import Ip, Nanos
from mobike.mobility.address_machine import TABLE, AddressEvent, AddressState, Tell, after
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.links import Candidate, LinkRule, rule_for

MOST_GONE = 256
"""Addresses remembered after they went, so that reasons can name their link. The oldest is forgotten first."""

UNKNOWN_LINK = "unknown link"
"""An SA came up on an address that no link event named (they come in a later turn)."""

_UNJUDGED = LinkRule(UNKNOWN_LINK)
"""Until its name is known, no link is preferred to it."""


_NEW = after(AddressState.UNKNOWN, AddressEvent.ASSIGNED, AddressEvent.USABLE)
"""A link event names addresses whose link is up; that no route leads from one is only known when the kernel says so."""


@dataclass(frozen=True, slots=True)
class LocalAddress:
    ip: Ip
    link: str
    state: AddressState
    since: Nanos
    deprecated: bool = False
    """Beside the state, as in the draft: it says how gladly the address is used, not whether."""
    optimistic: bool = False

    @property
    def available(self) -> bool:
        return self.state is not AddressState.UNKNOWN


class AddressBook:
    """Which addresses there are. Every change makes a new `version`."""

    def __init__(self, connections: Iterable[ConnectionPolicy], public: tuple[Ip, ...] = ()) -> None:
        """`public`: addresses that lead to us through a static NAT or a load balancer, announced before our own."""
        self._public = public
        self._rules = _rules_of(connections)
        """The different sets of rules: few, however many connections share them."""
        self._all: dict[Ip, LocalAddress] = {}
        self._inner: dict[Ip, int] = {}
        self._avoided: set[str] = set()
        self._candidates: dict[str, tuple[Candidate, ...]] = {}
        self.announced: tuple[Ip, ...] = public
        """Our list as peers are told it, most preferred first; the same object until it changes."""

    def reconfigure(self, connections: Iterable[ConnectionPolicy], public: tuple[Ip, ...]) -> None:
        """Connections have other rules, or are others."""
        self._public, self._rules = public, _rules_of(connections)
        self._refresh()

    def all(self) -> tuple[LocalAddress, ...]:
        return tuple(self._all.values())

    def get(self, ip: Ip) -> LocalAddress | None:
        return self._all.get(ip)

    def is_available(self, ip: Ip) -> bool:
        known = self._all.get(ip)
        return known is not None and known.available

    def add(self, ip: Ip, link: str, now: Nanos, *, deprecated: bool = False, optimistic: bool = False) -> bool:
        """True if that is news."""
        known = self._all.get(ip)
        if known is not None and known.available and known.link in (link, UNKNOWN_LINK):
            told = replace(known, link=link, deprecated=deprecated, optimistic=optimistic)
            if told != known:
                self._set(told)
            return told != known
        self._set(LocalAddress(ip, link, _NEW, now, deprecated, optimistic))
        return True

    def remove(self, ip: Ip, link: str, now: Nanos) -> bool:
        """True if that is news. An address that moved to another link is not gone with the old one."""
        known = self._all.get(ip)
        if known is None or not known.available or known.link not in (link, UNKNOWN_LINK):
            return False
        self._set(LocalAddress(ip, link, after(known.state, AddressEvent.GONE), now))
        gone = [each.ip for each in self._all.values() if not each.available]
        for oldest in gone[: max(0, len(gone) - MOST_GONE)]:
            del self._all[oldest]
        return True

    def note_routes(self, ip: Ip, *, usable: bool) -> bool:
        """What the kernel says of routes from an address that we have. True if peers must learn of it."""
        known = self._all.get(ip)
        if known is None:
            return False
        line = TABLE[known.state, AddressEvent.USABLE if usable else AddressEvent.UNUSABLE]
        if line.after is not known.state:
            self._set(replace(known, state=line.after))
        return line.tell is not Tell.NOBODY

    def add_inner(self, ips: Iterable[Ip]) -> None:
        """Addresses inside our own tunnels: never a path for one (RFC 4621 section 2)."""
        for ip in ips:
            self._inner[ip] = self._inner.get(ip, 0) + 1
            if ip in self._all:
                self._refresh()

    def remove_inner(self, ips: Iterable[Ip]) -> None:
        for ip in ips:
            left = self._inner.pop(ip, 1) - 1
            if left:
                self._inner[ip] = left
            elif ip in self._all:
                self._refresh()

    def candidates(self, connection: ConnectionPolicy, now: Nanos) -> tuple[Candidate, ...]:
        """Our addresses with what the rules of this connection say of them."""
        known = self._candidates.get(connection.name)
        if known is None:
            known = tuple(self._candidate(each, connection, now) for each in self._all.values())
            self._candidates[connection.name] = known
        return known

    def avoid(self, link: str, *, avoid: bool) -> bool:
        """The operator's word about a link. True if that is news."""
        if (link in self._avoided) is avoid or (avoid and link not in {each.link for each in self._all.values()}):
            return False
        (self._avoided.add if avoid else self._avoided.discard)(link)
        self._candidates.clear()
        return True

    def is_avoided(self, link: str) -> bool:
        return link in self._avoided

    def standing(self, each: LocalAddress) -> str:
        """How gladly it is used, in one word."""
        if each.link in self._avoided:
            return "avoided"
        if each.optimistic:
            return "optimistic"
        return "deprecated" if each.deprecated else "preferred"

    def settle(self) -> None:
        """Time has passed: addresses may count as settled now."""
        self._candidates.clear()

    def _candidate(self, each: LocalAddress, connection: ConnectionPolicy, now: Nanos) -> Candidate:
        rule = _UNJUDGED if each.link == UNKNOWN_LINK else rule_for(each.link, connection.links)
        return Candidate(
            ip=each.ip,
            link=each.link,
            rank=rule.rank,
            cost=rule.cost,
            allowed=rule.allowed,
            available=each.available,
            settled=now - each.since >= connection.moves.settle,
            deprecated=each.deprecated,
            optimistic=each.optimistic,
            avoided=each.link in self._avoided,
            tunnel=each.ip in self._inner,
        )

    def _set(self, each: LocalAddress) -> None:
        self._all.pop(each.ip, None)
        self._all[each.ip] = each
        self._refresh()

    def _refresh(self) -> None:
        self._candidates.clear()
        usable = [each for each in self._all.values() if self._is_announced(each)]
        own = (each.ip for each in sorted(usable, key=self._preference))
        announced = tuple(dict.fromkeys((*self._public, *own)))
        if announced != self.announced:
            self.announced = announced

    def _is_announced(self, each: LocalAddress) -> bool:
        if (
            each.state is not AddressState.OPERATIONAL
            or each.link == UNKNOWN_LINK
            or each.ip in self._inner
            or each.ip.is_link_local
        ):
            return False
        return any(rule_for(each.link, rules).allowed for rules in self._rules)

    def _preference(self, each: LocalAddress) -> tuple[int, int, int, int]:
        rank, cost = min((rule.rank, rule.cost) for rule in (rule_for(each.link, rules) for rules in self._rules))
        return rank, cost, -each.ip.version, int(each.ip)


def _rules_of(connections: Iterable[ConnectionPolicy]) -> tuple[tuple[LinkRule, ...], ...]:
    return tuple(dict.fromkeys(each.links for each in connections)) or ((),)
