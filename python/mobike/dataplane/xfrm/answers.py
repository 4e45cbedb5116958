"""What the kernel answers to steps. Pure."""

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from mobike.dataplane.operations import SealedKeys
from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.state import PolicySeen, Sa, SaName, SaSeen
from mobike.dataplane.xfrm.steps import Step


class KernelUnusableError(OSError):
    """There is no talking to this kernel: the message says why, and what to do."""


class AnswersLostError(Exception):
    """The kernel had more to say than it could keep for us: what is must be asked anew."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The kernel did not do a step."""

    error: int
    """A number of errno(3)."""
    words: str
    """The kernel's own, if it has some."""

    def __str__(self) -> str:
        return plain(self.error, self.words)


@dataclass(slots=True)
class Done:
    """What became of a list of steps: refusals by place in the list, and what was read."""

    refusals: dict[int, Refusal] = field(default_factory=dict)
    seen: dict[SaName, SaSeen] = field(default_factory=dict)


class Carries(Protocol):
    """Whatever carries out steps: the kernel, or a model of it."""

    def run(self, steps: Sequence[Step], keys: Mapping[int, SealedKeys], /) -> Done: ...

    def run_fresh(self, wanted: Sequence[Holding], keys: Mapping[int, SealedKeys], /) -> tuple[int, Done]:
        """All steps of `plan_fresh` for each of these, up to the end of the first wave of which something is refused:
        which, and what became of its steps."""

    def look(self, wanted: Sequence[tuple[SaName, Sa]], /) -> dict[SaName, SaSeen]: ...

    def sas(self) -> list[SaSeen]: ...

    def policies(self) -> list[PolicySeen]: ...


_PLAIN: Final = {
    errno.EPERM: "not permitted: the daemon needs CAP_NET_ADMIN for kernel IPsec",
    errno.EPROTONOSUPPORT: "this kernel has no ESP: load esp4 and esp6, or use the userspace plane",
    errno.EAFNOSUPPORT: "this kernel has no XFRM: CONFIG_XFRM_USER is missing; use the userspace plane",
    errno.ENOPROTOOPT: "this kernel was built without it",
    errno.ENOSYS: "this kernel lacks the algorithm",
    errno.ENOENT: "it is not there, or this kernel lacks the algorithm",
    errno.EEXIST: "there is one already, and it is not ours",
    errno.ESRCH: "it is gone",
    errno.ENOKEY: "its keys are not known",
    errno.EOVERFLOW: "no sequence numbers are left",
}


def plain(error: int, words: str) -> str:
    """In words for a person, with the fix where there is one."""
    said = f" (the kernel says: {words})" if words else ""
    return f"{_PLAIN.get(error, os.strerror(error))}{said}"
