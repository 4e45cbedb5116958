"""Edits of the configuration: planned, applied, remembered, taken back; and every flaw told where it is.

```
files, read again, and connections of the store        documents
   -> checked, all of it                               config.assemble
   -> planned against what is in force                 steward
   -> applied, all or nothing                          steward
   -> remembered with who wanted it                    archive
   -> confirmed in time, or taken back
```

One edit at a time. Checking is done beside the loop: certificates of many connections take a while.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from mobike.config import ConfigError, Loaded
from mobike.config.diff import Change
from mobike.config.files import STORED, Source
from mobike.config.plan import Plan, Step, plan
from mobike.config.problems import Problem, dotted
from mobike.facade import NotFound, Refused
from mobike.facade.configuration import (
    Author,
    ChangeView,
    CredentialStepView,
    CredentialView,
    Edit,
    FlawView,
    Invalid,
    PlanView,
    RevisionPage,
    RevisionView,
    StateView,
    StepView,
    TableView,
)
from mobike.gateway import vault
from mobike.gateway.documents import Document, without_secrets
from mobike.gateway.opening import read_revision
from mobike.gateway.steward import CannotApply, Steward
from mobike.store import Archive, Revision, Standing, StoreError

log = structlog.get_logger()

LONGEST_CONFIRM_S: Final = 86_400
"""Seconds that a configuration may wait for its confirmation."""
MOST_TOLD: Final = 10
"""Changes that the line of a revision names: it is kept in the clear, and in each log."""
AGAIN_S: Final = 5.0
"""Seconds until it is tried again to take one back."""

_TIMER: Final = Author("nobody confirmed it", "timer")


@dataclass(frozen=True, slots=True)
class Desktop:
    """What an editor works with."""

    read: Callable[[], tuple[Source, ...]]
    """The files, as they are now; ConfigError if they cannot be read."""
    assemble: Callable[[Document], Loaded]
    """ConfigError says what is wrong with it."""
    archive: Archive | None
    """None: nothing is remembered, and nothing can be kept in the store."""
    sas: Callable[[], Mapping[str, int]]
    """How many IKE SAs each connection has."""
    tell: Callable[[str, str], None]
    """A kind and a line, for log and events."""


class Editor:
    """Implements `mobike.facade.configuration.Configurations`."""

    def __init__(self, steward: Steward, document: Document, standing: Standing, desktop: Desktop) -> None:
        """`document` is in force, as revision `standing.head`."""
        self._steward = steward
        self._document = document
        self._standing = standing
        self._desktop = desktop
        self._one_at_a_time = asyncio.Lock()
        # Who may only read keeps nobody from an edit.
        self._comparing = asyncio.Lock()
        self._since = time.time()
        self._restart: tuple[Change, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Keep an eye on the time, if something waits for its confirmation."""
        self._watch_the_clock()

    def close(self) -> None:
        """No more edits."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._running:
            task.cancel()
        if self._desktop.archive is not None:
            self._desktop.archive.close()

    # --- seen ---

    def state(self) -> StateView:
        return StateView(
            self._standing.head,
            self._since,
            self._standing.until,
            tuple(map(_change, self._restart)),
            tuple(sorted(self._document.stored)),
            self._standing.passed is not None,
        )

    def table(self, name: str) -> TableView:
        tables = self._steward.in_force.tables
        known = tables.connections.get(name)
        if known is None:
            raise NotFound(f"there is no connection {name!r}")
        stored = name in self._document.stored
        written = self._document.stored[name] if stored else known.model_dump(mode="json", exclude_unset=True)
        shown, hidden = without_secrets(written)
        archive = self._desktop.archive
        mark = None
        if stored and hidden and archive is not None:
            secrets = json.dumps([name, {key: written[key] for key in hidden}], sort_keys=True)
            mark = f"hmac-sha256:{archive.mark(secrets.encode()).hex()}"
        return TableView(name, str(tables.places["connections", name]), stored, shown, hidden, mark)

    def credentials(self) -> tuple[CredentialView, ...]:
        return vault.views(self._document.credentials, self._document.stored)

    def revisions(self, *, before: int | None = None, limit: int = 50) -> RevisionPage:
        archive = self._desktop.archive
        if archive is None:
            return RevisionPage((), None)
        found = archive.revisions(before=before, limit=limit + 1)
        items = tuple(RevisionView(*each, current=each.number == self._standing.head) for each in found[:limit])
        return RevisionPage(items, items[-1].number if len(found) > limit else None)

    async def changes(self, revision: int, *, since: int | None = None) -> PlanView:
        async with self._comparing:
            new = self._known(revision)
            old = self._known(self._before(revision) if since is None else since)
            was, becomes = (each.instead(self._document.credentials)[0] for each in (old, new))
            try:
                before = await asyncio.to_thread(self._desktop.assemble, was)
                after = await asyncio.to_thread(self._desktop.assemble, becomes)
                compared = plan(before, after, live=False)
            except ConfigError as error:
                raise Invalid([self._flaw(problem) for problem in error.problems]) from None
            return replace(self._seen(compared), credentials=tuple(vault.steps(old.credentials, new.credentials)))

    # --- done ---

    async def plan(self, edit: Edit, *, keep: bool = False) -> PlanView:
        async with self._one_at_a_time:
            document, steps = await self._edited(edit)
            planned = await self._planned(document, keep=keep)
            return replace(self._seen(planned), credentials=steps)

    async def apply(self, edit: Edit, by: Author, *, keep: bool = False, confirm_s: int | None = None) -> PlanView:
        if confirm_s is not None and not 1 <= confirm_s <= LONGEST_CONFIRM_S:
            raise Refused(f"confirm_s is {confirm_s}", field="confirm_s", hint=f"give 1 to {LONGEST_CONFIRM_S} seconds")
        if confirm_s is not None and self._desktop.archive is None:
            raise Refused("nothing is remembered here that could come back", hint=_NO_ARCHIVE)
        async with self._one_at_a_time:
            document, steps = await self._edited(edit)
            planned = await self._planned(document, keep=keep)
            passed = None if edit.files else self._standing.passed
            return self._done(document, planned, by, passed=passed, steps=steps, confirm_s=confirm_s)

    async def confirm(self, by: Author) -> StateView:
        async with self._one_at_a_time:
            if self._standing.until is None:
                raise Refused("nothing waits for a confirmation")
            self._stand(replace(self._standing, until=None, back_to=None))
            self._purge()
            self._desktop.tell("config-confirmed", f"{by.who}: revision {self._standing.head} stays")
            return self.state()

    async def rollback(self, revision: int, by: Author, *, keep: bool = False) -> PlanView:
        async with self._one_at_a_time:
            return await self._back_to(revision, by, keep=keep)

    async def on_signal(self) -> None:
        """SIGHUP: nobody waits for an answer but the log."""
        try:
            done = await self.apply(Edit(files=True), Author("SIGHUP", "signal"))
        except Invalid as problem:
            for flaw in problem.flaws:
                self._desktop.tell("config-refused", str(flaw))
            return
        except Refused as problem:
            self._desktop.tell("config-refused", str(problem))
            return
        for change in done.restart:
            self._desktop.tell("config-restart", f"{change.key} is obeyed when the daemon starts anew")

    # --- how ---

    async def _edited(self, edit: Edit) -> tuple[Document, tuple[CredentialStepView, ...]]:
        archive = self._desktop.archive
        if archive is None and (edit.connections or edit.patches or edit.credentials):
            raise Refused("there is nowhere to keep what is in no file", hint=_NO_ARCHIVE)
        document = self._document
        if edit.files:
            try:
                document = replace(document, files=await asyncio.to_thread(self._desktop.read))
            except ConfigError as error:
                raise Invalid([self._flaw(problem) for problem in error.problems]) from None
        tables = self._steward.in_force.tables
        owned = {
            name: str(tables.places["connections", name])
            for name in (*edit.connections, *edit.patches)
            if name in tables.connections and name not in document.stored
        }
        if archive is None or not edit.credentials:
            return document.edited(edit, owned), ()
        clerk = vault.Clerk(time.time(), lambda octets: f"hmac-sha256:{archive.mark(octets).hex()}")
        credentials, steps = vault.edited(document.credentials, edit.credentials, clerk)
        return document.edited(edit, owned, credentials), tuple(steps)

    async def _planned(self, document: Document, *, keep: bool) -> Plan:
        try:
            loaded = await asyncio.to_thread(self._desktop.assemble, document)
            return self._steward.plan(loaded, keep=keep)
        except ConfigError as error:
            raise Invalid([self._flaw(problem) for problem in error.problems]) from None

    def _known(self, revision: int) -> Document:
        archive = self._desktop.archive
        try:
            kept = None if archive is None else read_revision(archive, revision)
        except StoreError as problem:
            raise Refused(str(problem)) from None
        if kept is None:
            raise NotFound(f"there is no revision {revision}")
        return kept

    def _before(self, revision: int) -> int:
        earlier = self.revisions(before=revision, limit=1).items
        if not earlier:
            raise NotFound(f"there is no revision before {revision}")
        return earlier[0].number

    async def _back_to(self, revision: int, by: Author, *, keep: bool = False) -> PlanView:
        document, of_now = self._known(revision).instead(self._document.credentials)
        planned = await self._planned(document, keep=keep)
        # What the files say now is not wanted: a restart must not bring it back.
        passed = await self._files_now(document)
        but = f", with {', '.join(of_now)} as of now" if of_now else ""
        return self._done(document, planned, by, passed=passed, what=f"back to revision {revision}{but}")

    async def _files_now(self, document: Document) -> bytes | None:
        try:
            files = await asyncio.to_thread(self._desktop.read)
        except ConfigError:
            return self._document.digest
        digest = replace(document, files=files).digest
        return None if digest == document.digest else digest

    def _done(
        self,
        document: Document,
        planned: Plan,
        by: Author,
        *,
        passed: bytes | None,
        what: str | None = None,
        steps: tuple[CredentialStepView, ...] = (),
        confirm_s: int | None = None,
    ) -> PlanView:
        """Apply it and remember it. Both or neither: what cannot be written is not obeyed."""
        seen, before = self._seen(planned), self._standing
        now = time.time()
        until = before.until if confirm_s is None else now + confirm_s
        back_to = before.back_to if before.until is not None else (None if confirm_s is None else before.head)
        if what is not None:
            until = back_to = None
        told = what or summary(planned, steps)
        standing = Standing(before.head, until, back_to, passed)
        changes = bool(planned.steps or planned.rest or document != self._document)
        gone = [step.name for step in steps if step.what == "removed"]
        revision = (
            self._remembered(document, Revision(0, now, by.who, by.origin, told), standing, gone) if changes else None
        )
        try:
            self._steward.apply(planned)
        except CannotApply as problem:
            if revision is not None:
                self._forget(revision, before)
            raise Refused(f"nothing has changed: {problem}") from None
        self._document, self._restart = document, planned.restart
        if revision is not None:
            self._standing, self._since = replace(standing, head=revision.number), now
        elif self._desktop.archive is not None:
            self._stand(standing)
        self._purge()
        self._watch_the_clock()
        self._desktop.tell("config-applied", f"{by.who}: {told}")
        return replace(seen, credentials=steps, revision=self._standing.head, confirm_by=self._standing.until)

    def _remembered(
        self, document: Document, revision: Revision, standing: Standing, gone: Collection[str]
    ) -> Revision:
        archive = self._desktop.archive
        if archive is None:
            return revision._replace(number=self._standing.head + 1)
        try:
            return archive.add(revision, document.octets(archive.mark), standing, document.secrets, gone)
        except StoreError as problem:
            raise Refused(f"nothing has changed: {problem}") from None

    def _forget(self, revision: Revision, before: Standing) -> None:
        archive = self._desktop.archive
        if archive is None:
            return
        try:
            archive.remove(revision.number, before)
        except StoreError as problem:
            # The next edit says again what is in force; a start before that tries what the core has refused.
            self._desktop.tell("config-refused", f"revision {revision.number} cannot be forgotten: {problem}")

    def _stand(self, standing: Standing) -> None:
        if self._desktop.archive is not None and standing != self._standing:
            try:
                self._desktop.archive.stand(standing)
            except StoreError as problem:
                raise Refused(str(problem)) from None
        self._standing = standing
        self._watch_the_clock()

    def _purge(self) -> None:
        """Deleted credentials go from earlier revisions, too. The log says it if not; the next edit tries again."""
        if self._desktop.archive is not None:
            try:
                self._desktop.archive.purge()
            except StoreError as problem:
                self._desktop.tell("config-refused", f"what was deleted is still in earlier revisions: {problem}")

    # --- time ---

    def _watch_the_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._standing.until is not None:
            left = max(0.0, self._standing.until - time.time())
            self._timer = asyncio.get_running_loop().call_later(left, self._time_is_over)

    def _time_is_over(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self._take_back())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _take_back(self) -> None:
        async with self._one_at_a_time:
            until, back_to = self._standing.until, self._standing.back_to
            if until is None or back_to is None or until > time.time():
                self._watch_the_clock()
                return
            try:
                await self._back_to(back_to, _TIMER)
            except (Invalid, Refused, NotFound, StoreError) as problem:
                self._desktop.tell("config-refused", f"revision {back_to} cannot come back: {problem}")
                self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._time_is_over)

    # --- views ---

    def _seen(self, planned: Plan) -> PlanView:
        sas = self._desktop.sas()
        return PlanView(
            tuple(_step(step, sas.get(step.connection, 0)) for step in planned.steps),
            tuple(map(_change, planned.rest)),
            tuple(map(_change, planned.restart)),
            tuple(map(str, planned.new.warnings)),
        )

    def _flaw(self, problem: Problem) -> FlawView:
        if problem.file == STORED:
            return FlawView(problem.message, problem.key, None, str(problem.at[1]), problem.at[2:])
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        return FlawView(problem.message, problem.key, place)


_NO_ARCHIVE: Final = (
    "let the daemon write into its state_dir ([daemon] state_dir) and start it anew; its log said at the start why not"
)


def summary(planned: Plan, credentials: Iterable[CredentialStepView] = ()) -> str:
    """One line."""
    of_credentials = (f"credential {each.name} {each.what}" for each in credentials)
    told = [*of_credentials, *_named(planned.steps), *(dotted(change.key) for change in planned.rest)]
    if len(told) > MOST_TOLD:
        told = [*told[:MOST_TOLD], f"{len(told) - MOST_TOLD} more"]
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
