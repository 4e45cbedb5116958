"""Tests marked `kernel_ipsec` need a kernel with ESP: this one, or else one that is booted for them.

In the second case all that were chosen run there, beside the others and outside of their time limits. Here they come
last, and each passes, fails or is skipped as it did there, as soon as it did there. Such a kernel has one processor:
where the machine has more, two are booted, each for every other test. The first workers of pytest-xdist boot; what
becomes of the tests stands in a folder that all of them know.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from .uml import Boot, LabError, has_esp, missing_for_lab

MARK = "kernel_ipsec"
ONE_S = 600
"""For any one test there, which may start four daemons while others compute. It fails then."""
SILENT_S = 180.0 + ONE_S
"""Without any outcome: to boot and read all tests, where others compute, too, and for one test. Something hangs."""
LOOK_S = 0.2
"""Between two looks how the tests there do."""
END_S = 20.0
"""And then for whoever waits to hear of it."""
FOLDER = "mobike_lab"
"""Where outcomes stand: what a worker is told by who started it."""
KERNELS = min(2, os.cpu_count() or 1)
"""Booted at a time: each takes a processor and some memory."""
TOLD = "MOBIKE_LAB_OUTCOMES"
"""In the environment there: the file where outcomes are told."""
REST = ""
"""In place of the name of a test: all that nothing was told of."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one test in the lab; `kind` is "passed", "skipped" or "failed"."""

    kind: str
    text: str = ""
    said: str = ""
    """What it printed."""


def tell(file: Path, name: str, outcome: Outcome) -> None:
    """One more is known."""
    with file.open("a") as ledger:
        ledger.write(json.dumps([name, asdict(outcome)]) + "\n")
        ledger.flush()
        os.fsync(ledger.fileno())  # a file of the machine is written there when that kernel has time, else


class Outcomes:
    """Of all tests in the lab, each as soon as it is there: in a file, for whichever process asks."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "outcomes"
        self._known: dict[str, Outcome] = {}
        self._read = 0
        self._news = monotonic()

    def of(self, item: pytest.Item) -> Outcome:
        """Waits for it."""
        while not {item.nodeid, REST} & self._known.keys():
            if self.silence() > SILENT_S + END_S:
                self._known[REST] = Outcome("failed", "whoever booted the lab is gone")
            sleep(LOOK_S)
        return self._known[item.nodeid if item.nodeid in self._known else REST]

    def silence(self) -> float:
        """Seconds since something was told."""
        if self.file.exists():
            with self.file.open("rb") as ledger:
                ledger.seek(self._read)
                while (line := ledger.readline()).endswith(b"\n"):
                    name, told = json.loads(line)
                    self._known[name] = Outcome(**told)
                    self._read += len(line)
                    self._news = monotonic()
        return monotonic() - self._news


_outcomes = pytest.StashKey[tuple[Outcomes, ...]]()
"""Of each kernel."""
_kernel = pytest.StashKey[int]()
"""Which kernel a test is for."""
_there = pytest.StashKey[Outcome]()
_folder = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """A place for outcomes, in the process that starts all others."""
    if not _is_worker(config):
        config.stash[_folder] = tempfile.TemporaryDirectory(prefix="mobike-lab-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """It goes with that process."""
    if (folder := config.stash.get(_folder, None)) is not None:
        folder.cleanup()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker is told where outcomes stand."""
    node.workerinput[FOLDER] = node.config.stash[_folder].name


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of the lab come last, and may wait there for as long as they may take."""
    there = [item for item in items if _belongs_there(item)]
    items[:] = [item for item in items if not _belongs_there(item)] + there
    for item in there:
        # Before a mark of its own, which is about its time there. Here it waits for those before it, too.
        item.add_marker(pytest.mark.timeout(0), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Boot for all that need it, and go on here meanwhile."""
    wanted = [item for item in session.items if _belongs_there(item)]
    if not wanted or missing_for_lab() is not None or session.config.option.collectonly:
        return (yield)
    folders = [_folder_of(session.config) / str(number) for number in range(KERNELS)]
    session.config.stash[_outcomes] = tuple(map(Outcomes, folders))
    for number, item in enumerate(wanted):
        item.stash[_kernel] = number % KERNELS
    with ExitStack() as running:
        for number in range(_number(session.config), KERNELS, _workers(session.config)):
            if share := wanted[number::KERNELS]:
                running.enter_context(_booted(session, share, folders[number]))
        return (yield)


@contextmanager
def _booted(session: pytest.Session, share: list[pytest.Item], folder: Path) -> Generator[None]:
    """A kernel that runs these tests."""
    outcomes = Outcomes(folder)
    boot = Boot(_command(session, share, outcomes.file), folder)
    teller = threading.Thread(target=_watch, args=(boot, outcomes), name="lab")
    teller.start()
    try:
        yield
    except BaseException:
        boot.end()
        raise
    finally:
        if not _is_worker(session.config):
            boot.end()  # nobody waits any more
        # Other workers may still wait for what comes of it.
        teller.join()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """There: tell how it went, once that is settled."""
    report = yield
    if (file := os.environ.get(TOLD)) is not None:
        outcome = item.stash.get(_there, Outcome("passed"))
        if report.failed:
            said = "\n".join(f"--- {title}\n{text}" for title, text in report.sections)
            outcome = Outcome("failed", f"{outcome.text}{report.longreprtext}\n{said}\n")
        elif report.skipped and isinstance(report.longrepr, tuple):
            outcome = Outcome("skipped", report.longrepr[2].removeprefix("Skipped: "))
        item.stash[_there] = outcome
        if report.when == "teardown":
            tell(Path(file), item.nodeid, replace(outcome, said=report.capstdout))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tell how it went there in place of running it here."""
    if not _belongs_there(pyfuncitem):
        return None
    if (reason := missing_for_lab()) is not None:
        pytest.skip(f"this kernel has no ESP, and {reason}")
    outcome = pyfuncitem.config.stash[_outcomes][pyfuncitem.stash[_kernel]].of(pyfuncitem)
    print(outcome.said, end="")
    if outcome.kind == "skipped":
        pytest.skip(f"in the lab: {outcome.text}")
    if outcome.kind == "failed":
        pytest.fail(f"in the lab:\n{outcome.text}", pytrace=False)
    return True


def _belongs_there(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARK) is not None and not has_esp()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _number(config: pytest.Config) -> int:
    """Of this worker, from 0; where there are none, there is one."""
    return int(config.workerinput["workerid"].removeprefix("gw")) if _is_worker(config) else 0  # type: ignore[attr-defined]


def _workers(config: pytest.Config) -> int:
    return int(config.workerinput["workercount"]) if _is_worker(config) else 1  # type: ignore[attr-defined]


def _folder_of(config: pytest.Config) -> Path:
    return Path(config.workerinput[FOLDER] if _is_worker(config) else config.stash[_folder].name)  # type: ignore[attr-defined]


def _command(session: pytest.Session, items: list[pytest.Item], told: Path) -> list[str]:
    # What none of them uses takes long to load there.
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-v", "-m", MARK]
    argv += ["-o", f"timeout={ONE_S}", "--maxfail", str(session.config.option.maxfail or 0)]
    argv += ["--rootdir", str(session.config.rootpath), *(item.nodeid for item in items)]
    return ["env", f"{TOLD}={told}", *argv]


def _watch(boot: Boot, outcomes: Outcomes) -> None:
    """Wait until that kernel is gone, or something in it hangs; and say so for tests that nothing is known of."""
    while not boot.ended_within(LOOK_S):
        if outcomes.silence() > SILENT_S:
            boot.end()
    try:
        why = f"it did not come to an end in the lab\n{boot.done().log[-4000:]}"
    except LabError as problem:
        why = str(problem)
    tell(outcomes.file, REST, Outcome("failed", why))
