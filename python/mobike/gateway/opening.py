"""Which configuration a daemon starts with: what the files say, with the connections of the store; or one that was in
force before, where that one is still to be confirmed, or came back in place of what the files say.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from mobike.config import Checks, Loaded, Settings
from mobike.config.files import Source, read_files
from mobike.config.load import assemble
from mobike.config.settings import CONFIG_KEY
from mobike.gateway.documents import Document
from mobike.gateway.seal import ArchiveSeal
from mobike.store import Archive, InUse, Revision, Standing, StoreError, store_key

log = structlog.get_logger()

FILE: Final = "config.db"
"""In the state directory."""

_START: Final = "the start"


@dataclass(frozen=True, slots=True)
class Opening:
    """A configuration, where it came from, and where the next ones go."""

    loaded: Loaded
    document: Document
    standing: Standing
    archive: Archive | None
    read: Callable[[], tuple[Source, ...]]
    assemble: Callable[[Document], Loaded]


def bare(loaded: Loaded) -> Opening:
    """One that nobody wrote, and that stays as it is."""
    return Opening(loaded, Document(()), Standing(1), None, tuple, lambda _: loaded)


def open_up(path: Path, loaded: Loaded, checks: Checks) -> Opening:
    """`loaded`: what the files say. ConfigError if that and the store contradict each other; StoreError if the store
    cannot be read."""
    _, base = read_files(path)

    def read() -> tuple[Source, ...]:
        return tuple(read_files(path)[0])

    def assembled(document: Document) -> Loaded:
        return assemble(document.files, document.stored, checks, base=base, credentials=document.credentials)

    archive = _archive(loaded.settings)
    document = Document(read())
    if archive is None:
        return Opening(loaded, document, Standing(1), None, read, assembled)
    try:
        document, standing, what = _taken_up(archive, document, time.time())
        loaded = assembled(document)
        if what is not None:
            revision = Revision(0, time.time(), _START, "start", what)
            added = archive.add(revision, document.octets(archive.mark), standing, document.secrets)
            standing = replace(standing, head=added.number)
        archive.purge()
    except BaseException:
        archive.close()
        raise
    return Opening(loaded, document, standing, archive, read, assembled)


def _taken_up(archive: Archive, now: Document, at: float) -> tuple[Document, Standing, str | None]:
    """What is to be in force, and why that is a new revision; None: it is the one that was."""
    standing = archive.standing()
    if standing is None:
        return now, Standing(0), "what the files say"
    if standing.until is not None and standing.until <= at and standing.back_to is not None:
        document = _content(archive, standing.back_to)
        passed = None if document.digest == now.digest else now.digest
        why = f"back to revision {standing.back_to}: nobody confirmed {standing.head}"
        return document, Standing(0, passed=passed), why
    before = _content(archive, standing.head)
    if standing.until is not None or now.digest in {before.digest, standing.passed}:
        return before, standing, None
    return replace(before, files=now.files), Standing(0), "what the files say by now"


def _content(archive: Archive, number: int) -> Document:
    return read_revision(archive, number) or Document(())


def read_revision(archive: Archive, number: int) -> Document | None:
    """One that was in force; None: it is not kept."""
    content = archive.content(number)
    return None if content is None else Document.read(content, lambda name, mark: archive.secret(number, name, mark))


def _archive(settings: Settings) -> Archive | None:
    """None: there is no place for one; the daemon does without, and says so. StoreError: there is one, and it cannot be
    used; half of a configuration may be in it."""
    folder, daemon = settings.daemon.state_dir, settings.daemon
    stored = _is_there(folder / FILE)
    try:
        key = store_key(
            daemon.config_key_file or folder / CONFIG_KEY, given=daemon.config_key, stored=stored, what="configurations"
        )
        return Archive(folder / FILE, ArchiveSeal(key))
    except StoreError as problem:
        # What another daemon keeps there was never ours.
        if stored and not isinstance(problem, InUse):
            raise
        text = f"configurations are not remembered, and none can be made over the API: {problem}"
        log.warning("config.archive", text=text)
        return None


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return False
