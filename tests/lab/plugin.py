"""Tests marked `kernel_ipsec` need a kernel with ESP: this one, or else one that is booted for them.

In the second case all that were chosen run in one boot, before the others and outside of their time limits; each then
passes, fails or is skipped here as it did there.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .uml import LabError, boot, has_esp, missing_for_lab

MARK = "kernel_ipsec"
BOOT_S = 30.0
TEST_S = 60.0
"""Time to boot, and on top of it for each test."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one test in the lab; `kind` is "passed", "skipped" or "failed"."""

    kind: str
    text: str = ""


_outcomes = pytest.StashKey[dict[str, Outcome]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Boot once for all that need it."""
    wanted = [item for item in session.items if _belongs_there(item)]
    if wanted and missing_for_lab() is None and not session.config.option.collectonly:
        session.config.stash[_outcomes] = _run(session, wanted)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tell how it went there in place of running it here."""
    if not _belongs_there(pyfuncitem):
        return None
    if (reason := missing_for_lab()) is not None:
        pytest.skip(f"this kernel has no ESP, and {reason}")
    outcome = pyfuncitem.config.stash[_outcomes].get(_key(pyfuncitem))
    if outcome is None:
        pytest.fail("it did not come to an end in the lab; see the first of its tests", pytrace=False)
    if outcome.kind == "skipped":
        pytest.skip(outcome.text)
    if outcome.kind == "failed":
        pytest.fail(outcome.text, pytrace=False)
    return True


def _belongs_there(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARK) is not None and not has_esp()


def _key(item: pytest.Item) -> str:
    """A test as JUnit's format names it."""
    file, _, name = item.nodeid.partition("::")
    return f"{file.removesuffix('.py').replace('/', '.')}::{name}"


def _run(session: pytest.Session, items: list[pytest.Item]) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory(prefix="mobike-lab-") as folder:
        results = Path(folder) / "results.xml"
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", MARK, "--junitxml", str(results)]
        argv += ["-o", "junit_family=xunit2", "--rootdir", str(session.config.rootpath)]
        try:
            done = boot([*argv, *(item.nodeid for item in items)], Path(folder), timeout=BOOT_S + TEST_S * len(items))
        except LabError as problem:
            return dict.fromkeys(map(_key, items), Outcome("failed", str(problem)))
        if not results.exists():
            return dict.fromkeys(map(_key, items), Outcome("failed", f"no results\n{done.log[-4000:]}"))
        cases = ElementTree.parse(results).iter("testcase")  # noqa: S314 - written by ourselves
        return dict(map(_read, cases))


def _read(case: ElementTree.Element) -> tuple[str, Outcome]:
    name = f"{case.get('classname')}::{case.get('name')}"
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            return name, Outcome("failed", f"in the lab:\n{found.text or found.get('message')}")
    if (found := case.find("skipped")) is not None:
        return name, Outcome("skipped", f"in the lab: {found.get('message')}")
    return name, Outcome("passed")
