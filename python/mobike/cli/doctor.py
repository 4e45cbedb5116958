"""`mobike doctor`: what this host can, asked of its kernel."""

from collections.abc import Iterator
from pathlib import Path

from mobike.dataplane.xfrm.answers import KernelUnusableError
from mobike.dataplane.xfrm.health import Finding, findings
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.probe import probe


def examine() -> list[Finding]:
    """Everything there is to say. For all of it one must be root."""
    try:
        kernel = Kernel()
    except KernelUnusableError as error:
        return [Finding(False, str(error.strerror))]
    try:
        return list(findings(probe(kernel), _sysctl))
    finally:
        kernel.close()


def lines(found: list[Finding]) -> Iterator[str]:
    for each in found:
        yield f"{'ok  ' if each.good else '  ! '} {each.text}"
        if each.fix:
            yield f"       {each.fix}"


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", *name.split(".")).read_text()
    except OSError:
        return None
