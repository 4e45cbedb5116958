"""Tests marked `kernel_ipsec` need a kernel with ESP: this one, or else one that is booted for them.

In the second case all that were chosen run in one boot, beside the others and outside of their time limits. Here they
come last, and each passes, fails or is skipped as it did there. Of the workers of pytest-xdist the first one boots;
what became of the tests stands in a folder that all of them know.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from xml.etree import ElementTree

import pytest

from .uml import Boot, LabError, has_esp, missing_for_lab

MARK = "kernel_ipsec"
BOOT_S = 180.0
TEST_S = 90.0
"""Time to boot, and on top of it for each test, where others compute, too."""
ONE_S = 600
"""For any one test there, which may start four daemons while others compute."""
LOOK_S = 0.2
"""Between two looks whether the tests there have come to an end."""
END_S = 20.0
"""For reading the outcomes, once the kernel is gone."""
FOLDER = "mobike_lab"
"""Where outcomes stand: what a worker is told by who started it."""
FIRST = "gw0"
"""The worker that boots."""
RESULTS = "results.xml"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one test in the lab; `kind` is "passed", "skipped" or "failed"."""

    kind: str
    text: str = ""


class Outcomes:
    """Of all tests in the lab, as soon as they are there: in a file, for whichever process asks."""

    def __init__(self, folder: Path, tests: int) -> None:
        self._file = folder / "outcomes.json"
        self.limit = BOOT_S + TEST_S * tests
        self._until = monotonic() + self.limit + END_S
        self._known: dict[str, Outcome] | None = None

    def tell(self, outcomes: dict[str, Outcome]) -> None:
        """These are all."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps({name: asdict(each) for name, each in outcomes.items()}))
        draft.rename(self._file)

    def of(self, item: pytest.Item) -> Outcome:
        """Waits for it."""
        while self._known is None:
            if self._file.exists():
                told = json.loads(self._file.read_text())
                self._known = {name: Outcome(**each) for name, each in told.items()}
            elif monotonic() > self._until:
                self._known = {}
            else:
                sleep(LOOK_S)
        missing = Outcome("failed", "it did not come to an end in the lab; see the first of its tests")
        return self._known.get(_key(item), missing)


_outcomes = pytest.StashKey[Outcomes]()
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
        # Before a mark of its own, which is about its time there.
        limit = BOOT_S + TEST_S * len(there) + 2 * END_S
        item.add_marker(pytest.mark.timeout(limit), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Boot once for all that need it, and go on here meanwhile."""
    wanted = [item for item in session.items if _belongs_there(item)]
    if not wanted or missing_for_lab() is not None or session.config.option.collectonly:
        return (yield)
    folder = _folder_of(session.config)
    outcomes = session.config.stash[_outcomes] = Outcomes(folder, len(wanted))
    if _is_worker(session.config) and session.config.workerinput["workerid"] != FIRST:  # type: ignore[attr-defined]
        return (yield)
    boot = Boot(_command(session, wanted, folder), folder)
    teller = threading.Thread(target=_tell, args=(boot, wanted, outcomes), name="lab")
    teller.start()
    try:
        result = yield
    except BaseException:
        boot.end()
        raise
    finally:
        # Other workers may still wait for what comes of it.
        teller.join()
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tell how it went there in place of running it here."""
    if not _belongs_there(pyfuncitem):
        return None
    if (reason := missing_for_lab()) is not None:
        pytest.skip(f"this kernel has no ESP, and {reason}")
    outcome = pyfuncitem.config.stash[_outcomes].of(pyfuncitem)
    if outcome.kind == "skipped":
        pytest.skip(outcome.text)
    if outcome.kind == "failed":
        pytest.fail(outcome.text, pytrace=False)
    return True


def _belongs_there(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARK) is not None and not has_esp()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _folder_of(config: pytest.Config) -> Path:
    return Path(config.workerinput[FOLDER] if _is_worker(config) else config.stash[_folder].name)  # type: ignore[attr-defined]


def _key(item: pytest.Item) -> str:
    """A test as JUnit's format names it."""
    file, _, name = item.nodeid.partition("::")
    return f"{file.removesuffix('.py').replace('/', '.')}::{name}"


def _command(session: pytest.Session, items: list[pytest.Item], folder: Path) -> list[str]:
    # What none of them uses takes long to load there.
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-m", MARK]
    argv += ["--junitxml", str(folder / RESULTS), "-o", "junit_family=xunit2", "-o", f"timeout={ONE_S}"]
    return [*argv, "--rootdir", str(session.config.rootpath), *(item.nodeid for item in items)]


def _tell(boot: Boot, items: list[pytest.Item], outcomes: Outcomes) -> None:
    """Wait until that kernel is gone, and write down what became of the tests in it."""
    try:
        done = boot.wait(outcomes.limit)
        results = boot.folder / RESULTS
        if results.exists():
            outcomes.tell(dict(map(_read, ElementTree.parse(results).iter("testcase"))))  # noqa: S314 - our own
            return
        why = f"no results\n{done.log[-4000:]}"
    except (LabError, ElementTree.ParseError) as problem:
        why = str(problem)
    outcomes.tell(dict.fromkeys(map(_key, items), Outcome("failed", why)))


def _read(case: ElementTree.Element) -> tuple[str, Outcome]:
    name = f"{case.get('classname')}::{case.get('name')}"
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            return name, Outcome("failed", f"in the lab:\n{found.text or found.get('message')}")
    if (found := case.find("skipped")) is not None:
        return name, Outcome("skipped", f"in the lab: {found.get('message')}")
    return name, Outcome("passed")
