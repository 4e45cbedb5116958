"""`mobike doctor`: what this host can, asked of its kernel, and what else stands in the way of a configuration."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mobike.cli.api import Api, Json, Target
from mobike.cli.checkup import Checked, Host, clock, look
from mobike.cli.cleanup import left_behind
from mobike.cli.draw import text
from mobike.cli.failure import Failure
from mobike.config import Moves, PlaneKind, Settings
from mobike.dataplane.xfrm.answers import KernelUnusableError
from mobike.dataplane.xfrm.health import Finding, Grade, findings, in_front
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.probe import probe

_STYLES: Final = {Grade.PASS: "green", Grade.WARN: "yellow", Grade.FAIL: "bold red"}


def checked(settings: Settings | None, target: Target, host: Host) -> Iterator[Checked]:
    """All that there is to say, of a configuration or of the host alone."""
    runs = daemon(target)
    yield runs
    left = left_behind(target)
    if left is not None:
        yield left
    if settings is None:
        yield from clock(host)
    else:
        yield from look(settings, host, runs=runs.grade is Grade.PASS)
    # ESP in the daemon needs nothing of the kernel.
    needed = settings is not None and settings.dataplane.kind is PlaneKind.KERNEL
    for each in examine(restores=settings is not None and settings.dataplane.moves is Moves.RESTORE):
        grade = Grade.WARN if each.grade is Grade.FAIL and not needed else each.grade
        yield Checked(grade, each.text, each.fix)


def daemon(target: Target) -> Checked:
    """Does it run, and can it do its work?"""
    try:
        with Api(target) as api:
            health = api.get("health")
    except Failure as failure:
        return Checked(Grade.WARN, str(failure), failure.hint or "")
    if not health["ready"]:
        return Checked(Grade.FAIL, f"the daemon runs and is not ready: {'; '.join(health['reasons'])}", "mobike status")
    return Checked(Grade.PASS, f"the daemon at {target.place} runs and is ready")


def examine(*, restores: bool = False) -> list[Finding]:
    """What the kernel can do for IPsec, or is wanted to. For all of it one must be root."""
    try:
        kernel = Kernel()
    except KernelUnusableError as error:
        return [Finding(Grade.FAIL, str(error.strerror))]
    try:
        can = probe(kernel)
        found = list(findings(can.restoring() if restores else can, _sysctl))
        return [*found, *in_front(kernel.policies() if can.usable else ())]
    finally:
        kernel.close()


def draw(found: Iterable[Checked]) -> RenderableType:
    """A line each, and what to do below it."""
    return Group(*_parts(list(found)))


def as_json(found: Iterable[Checked]) -> list[Json]:
    """The same for programs."""
    return [{"grade": each.grade.value, "text": each.text, "fix": each.fix or None} for each in found]


def _parts(found: list[Checked]) -> Iterator[RenderableType]:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column()
    for each in found:
        rows.add_row(Text(each.grade.value, _STYLES[each.grade]), text(each.text))
        if each.fix:
            rows.add_row("", text(each.fix, "dim"))
    yield rows
    counts = {grade: sum(each.grade is grade for each in found) for grade in Grade}
    yield Text(f"\n{', '.join(f'{count} {grade.value}' for grade, count in counts.items() if count)}", "bold")


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", *name.split(".")).read_text()
    except OSError:
        return None
