"""Keeps the configuration in force, and is the only one who changes it while the daemon runs: all of it or nothing.

```
plan     what a new one would do                                        config.plan, pure
apply    1  all that is needed is worked out                            nothing has changed yet
         2  the core gets the standing orders, in one call              it may refuse: then nothing has changed either
         3  the others are told, the fleet last                         nothing here can refuse; a fault stops no other
```
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from mobike.auth.eap import Orders
from mobike.auth.trust import Trust
from mobike.commands import Profile, RemoveProfile, SetProfile
from mobike.config import Loaded, LogFormat, Settings
from mobike.config.plan import Plan, Touch, plan
from mobike.config.settings import AuthoriserSettings, Connection, HookSettings
from mobike.fleet import Edited, Reconfiguration, Renewal
from mobike.gateway import parts

log = structlog.get_logger()

_RENEWALS: Final[Mapping[Touch, Renewal]] = {
    Touch.NOTHING: Renewal.NOTHING,
    Touch.NEXT: Renewal.NOTHING,
    Touch.REKEY: Renewal.CHILDREN,
    Touch.REAUTHENTICATE: Renewal.IKE,
    Touch.CLOSE: Renewal.CLOSE,
}


class TakesOrders(Protocol):
    """The part of the core that takes standing orders."""

    def submit(self, commands: Sequence[SetProfile | RemoveProfile], /) -> None: ...


class CannotApply(ValueError):
    """The core refuses, or things have changed since it was planned; one line says what. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Who is told. Only the core may refuse."""

    core: TakesOrders
    fleet: Callable[[Reconfiguration], None]
    door: Callable[[Mapping[str, Trust], Mapping[str, Orders], Collection[str], Collection[str]], None]
    authorisers: Callable[[Mapping[str, AuthoriserSettings]], None]
    hooks: Callable[[Mapping[str, HookSettings]], None]
    leases: Callable[[Mapping[str, int]], None]
    routes: Callable[[Settings], None]
    shields: Callable[[Settings], None]
    tickets: Callable[[Settings], None]
    logs: Callable[[str, LogFormat], None]


class Steward:
    """One for each daemon."""

    def __init__(self, loaded: Loaded, staff: Staff) -> None:
        self._in_force = loaded
        self._staff = staff
        self._generation = 0
        self._generations: dict[str, int] = {}
        """Of the standing orders that the core has of each connection; 0 if they are those of the start."""
        self._streams = any(map(parts.listens_for_streams, loaded.settings.connections))
        self.applied = 0
        """Configurations that were applied since the start."""
        self.failed: tuple[str, ...] = ()
        """Parts of the daemon that could not be told of the last one: a fault of ours, which a restart mends."""

    @property
    def in_force(self) -> Loaded:
        return self._in_force

    def plan(self, new: Loaded, *, keep: bool = False) -> Plan:
        """What applying it would do; ConfigError if it cannot be done while the daemon runs."""
        return plan(self._in_force, new, keep=keep, streams=self._streams)

    def apply(self, planned: Plan) -> None:
        """Do it; CannotApply if nothing was done."""
        if planned.old is not self._in_force:
            raise CannotApply("another configuration came into force since this was planned")
        before = {each.name: each for each in planned.old.settings.connections}
        generation = self._generation + 1
        renewals = {step.connection: _RENEWALS[step.touch] for step in planned.steps}
        orders: list[SetProfile | RemoveProfile] = [RemoveProfile(name) for name in planned.named("removed")]
        edited = []
        generations = {name: at for name, at in self._generations.items() if name not in planned.named("removed")}
        added = []
        for each in planned.new.settings.connections:
            was = before.get(each.name)
            if was is each:
                continue
            if was is None or was.profile != each.profile:
                generations[each.name] = generation
                orders.append(SetProfile(_numbered(each, generation)))
            if was is None:
                added.append(each.policy)
            else:
                at = generations.get(each.name, 0)
                edited.append(Edited(each.policy, at, renewals.get(each.name, Renewal.NOTHING)))
        settings = planned.new.settings
        news = Reconfiguration(
            planned.named("removed"), tuple(added), tuple(edited), parts.public(settings), settings.redirect
        )
        try:
            self._staff.core.submit(orders)
        except ValueError as problem:
            raise CannotApply(str(problem)) from None
        self._generation, self._generations = generation, generations
        self._in_force = planned.new
        self.applied += 1
        self._tell(settings, news)

    def _tell(self, settings: Settings, news: Reconfiguration) -> None:
        staff, authorisers, daemon = self._staff, parts.authorisers(settings), settings.daemon
        trusts, talks, pools = parts.trusts(settings), parts.talks(settings), parts.pools(settings)
        told: dict[str, Callable[[], None]] = {
            "door": lambda: staff.door(trusts, talks, tuple(authorisers), pools),
            "authorisers": lambda: staff.authorisers(authorisers),
            "hooks": lambda: staff.hooks(parts.hooks(settings)),
            "leases": lambda: staff.leases(parts.sticky(settings)),
            "tickets": lambda: staff.tickets(settings),
            "shields": lambda: staff.shields(settings),
            "routes": lambda: staff.routes(settings),
            "log": lambda: staff.logs(daemon.log_level, daemon.log_format),
            "fleet": lambda: staff.fleet(news),
        }
        self.failed = tuple(part for part, tell in told.items() if not _was_told(part, tell))


def _was_told(part: str, tell: Callable[[], None]) -> bool:
    """The core has its orders by now: there is no way back, and the others must hear of it."""
    try:
        tell()
    except Exception:
        log.exception(
            "config.part", part=part, text="it was not told of the configuration in force: restart the daemon"
        )
        return False
    return True


def _numbered(connection: Connection, generation: int) -> Profile:
    return replace(connection.profile, generation=generation)
