"""Edits of the configuration: the files read again, planned and applied, with every problem told where it is.

One edit at a time. Reading is done beside the loop: certificates of many connections take a while.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from mobike.config import ConfigError, Loaded
from mobike.config.diff import Change
from mobike.config.plan import Plan, Step
from mobike.config.problems import Problem, dotted
from mobike.configurations import (
    Author,
    ChangeView,
    Edit,
    FlawView,
    Invalid,
    PlanView,
    StateView,
    StepView,
)
from mobike.facade import Refused
from mobike.gateway.steward import CannotApply, Steward

log = structlog.get_logger()


class Editor:
    """Implements `mobike.configurations.Configurations`."""

    def __init__(
        self,
        steward: Steward,
        read: Callable[[], Loaded],
        sas: Callable[[], dict[str, int]],
        tell: Callable[[str, str], None],
    ) -> None:
        """`read`: the files, as they are now. `sas`: how many IKE SAs each connection has. `tell`: kind and line."""
        self._steward = steward
        self._read = read
        self._sas = sas
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()
        self._revision = 1
        self._since = time.time()
        self._restart: tuple[Change, ...] = ()

    def state(self) -> StateView:
        restart = tuple(map(_change, self._restart))
        return StateView(self._revision, self._since, None, restart, ())

    async def plan(self, edit: Edit, *, keep: bool = False) -> PlanView:
        async with self._one_at_a_time:
            return self._seen(await self._planned(edit, keep=keep))

    async def apply(self, edit: Edit, by: Author, *, keep: bool = False, confirm_s: int | None = None) -> PlanView:
        if confirm_s is not None:
            raise Refused("there is no store to remember what was before", hint="name a file in [store]")
        async with self._one_at_a_time:
            planned = await self._planned(edit, keep=keep)
            seen = self._seen(planned)
            try:
                self._steward.apply(planned)
            except CannotApply as problem:
                raise Refused(f"nothing has changed: {problem}") from None
            self._restart = planned.restart
            if planned.steps or planned.rest:
                self._revision += 1
                self._since = time.time()
            self._tell("config-applied", f"{by.who}: {summary(planned)}")
            return PlanView(seen.steps, seen.rest, seen.restart, seen.warnings, self._revision)

    async def on_signal(self) -> None:
        """SIGHUP: nobody waits for an answer but the log."""
        try:
            done = await self.apply(Edit(), Author("SIGHUP", "signal"))
        except Invalid as problem:
            for flaw in problem.flaws:
                self._tell("config-refused", str(flaw))
            return
        except Refused as problem:
            self._tell("config-refused", str(problem))
            return
        for change in done.restart:
            self._tell("config-restart", f"{change.key} is obeyed when the daemon starts anew")

    async def _planned(self, edit: Edit, *, keep: bool) -> Plan:
        if edit.connections or edit.patches:
            raise Refused("there is no store to keep it in", hint="name a file in [store]")
        try:
            new = await asyncio.to_thread(self._read) if edit.files else self._steward.in_force
            return self._steward.plan(new, keep=keep)
        except ConfigError as error:
            raise Invalid([_flaw(problem) for problem in error.problems]) from None

    def _seen(self, planned: Plan) -> PlanView:
        sas = self._sas()
        return PlanView(
            tuple(_step(step, sas.get(step.connection, 0)) for step in planned.steps),
            tuple(map(_change, planned.rest)),
            tuple(map(_change, planned.restart)),
            tuple(map(str, planned.new.warnings)),
        )


def summary(planned: Plan) -> str:
    """One line."""
    told = [*_named(planned.steps), *(dotted(change.key) for change in planned.rest)]
    later = f"{len(planned.restart)} after a restart" if planned.restart else ""
    return "; ".join(filter(None, [*told, later])) or "nothing has changed"


def _named(steps: Iterable[Step]) -> Iterable[str]:
    for step in steps:
        yield f"{step.connection} {step.what}" + (f" ({step.touch.words})" if step.what == "changed" else "")


def _step(step: Step, sas: int) -> StepView:
    touch = step.touch.name.lower()
    return StepView(step.connection, step.what, touch, step.touch.words, sas, tuple(map(_change, step.changes)))


def _change(change: Change) -> ChangeView:
    place = None if change.place is None else str(change.place)
    return ChangeView(dotted(change.key), change.old, change.new, change.effect.name.lower(), place)


def _flaw(problem: Problem) -> FlawView:
    place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
    return FlawView(problem.message, problem.key, place)
