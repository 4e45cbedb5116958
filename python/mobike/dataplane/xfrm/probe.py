"""What this kernel can, found out by asking it: never by its version, since distributions leave things out.

Questions that change nothing are asked about SAs that cannot be there. For ESP and its algorithms an SA is made and
removed: its SPI is one of those that are reserved (RFC 4303 section 2.1), from an address to itself that nobody has.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, Protocol

from mobike.address import Ip
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.read import Answer
from mobike.dataplane.xfrm.state import OUR_REQIDS, UNLIMITED, Encap, Sa, SaSeen
from mobike.dataplane.xfrm.suites import suite_of
from mobike.dataplane.xfrm.uapi import Attr, Msg
from mobike.dataplane.xfrm.wire import Batch

NOBODY4: Final = ip_address("192.0.0.8")
"""RFC 7600."""
NOBODY6: Final = ip_address("100::1")
"""RFC 6666: what goes there is thrown away."""
RESERVED_SPI: Final = 0xFD

USUAL_SUITES: Final = (
    "aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128-sha256", "aes256-sha384", "aes256-sha512", "aes128-sha1",
    "aes128ctr-sha256",
)  # fmt: skip
"""One for each algorithm that a kernel may have been built without."""


class Asks(Protocol):
    """A kernel that answers single messages."""

    def ask(self, write: Callable[[Batch], None]) -> Answer: ...

    def sas(self) -> list[SaSeen]: ...


@dataclass(frozen=True, slots=True)
class KernelCan:
    """What there is to work with."""

    permitted: bool
    esp: frozenset[int]
    """IP versions outside."""
    encap: frozenset[int]
    """The same, in UDP."""
    suites: frozenset[str]
    """Of `USUAL_SUITES`."""
    means: Means
    knows_direction: bool
    shows_keys: bool
    why_not: str = ""
    """In plain words, where nothing goes."""
    barred: bool = False
    """Whatever this kernel can, the operator wants it to move nothing by itself."""

    @property
    def usable(self) -> bool:
        return self.permitted and bool(self.esp) and bool(self.suites)

    def restoring(self) -> "KernelCan":
        """The same, where SAs are to be moved by removing and adding them."""
        return replace(self, means=self.means & Means.TAKE, barred=True)

    def lines(self) -> Iterator[str]:
        """For `mobike doctor`."""
        if not self.usable:
            yield self.why_not
            return
        versions = ", ".join(f"IPv{version}" for version in sorted(self.esp))
        encap = ", ".join(f"IPv{version}" for version in sorted(self.encap))
        yield f"kernel IPsec: ESP over {versions}; in UDP over {encap or 'nothing'}"
        yield f"algorithms: {', '.join(suite for suite in USUAL_SUITES if suite in self.suites)}"
        why = 'moves = "restore"' if self.barred else "the kernel was built without CONFIG_XFRM_MIGRATE"
        yield f"a move is {_MOVES[best_of(self.means)].format(why=why)}"
        if not self.shows_keys:
            yield "the kernel hides keys (lockdown): where it cannot move an SA itself, the Child SA gets new keys"


_MOVES: Final = {
    Means.MIGRATE_STATE: "one step for each SA (XFRM_MSG_MIGRATE_STATE)",
    Means.MIGRATE: "a copy that the kernel makes (XFRM_MSG_MIGRATE), or removing and adding where encapsulation goes",
    Means.TAKE: "removing and adding: {why}",
    Means.NONE: "a rekey: {why}, and the kernel hides keys",
}


def best_of(means: Means) -> Means:
    """The first that will be tried."""
    return next((each for each in (Means.MIGRATE_STATE, Means.MIGRATE, Means.TAKE) if each in means), Means.NONE)


def probe(kernel: Asks) -> KernelCan:
    """Ask everything; takes some milliseconds, or a second where modules have to be loaded."""
    nobody = _sa("aes128gcm16", NOBODY4, None)
    permitted = kernel.ask(lambda batch: batch.get_sa(nobody)).error
    if permitted == errno.EPERM:
        why = "not permitted: the daemon needs CAP_NET_ADMIN for kernel IPsec"
        return KernelCan(False, frozenset(), frozenset(), frozenset(), Means.NONE, False, False, why)
    suites = frozenset(suite for suite in USUAL_SUITES if _works(kernel, _sa(suite, NOBODY4, None)))
    one = min(suites, default="aes128gcm16")
    outside = {4: NOBODY4, 6: NOBODY6}
    esp = frozenset(version for version, ip in outside.items() if _works(kernel, _sa(one, ip, None)))
    encap = frozenset(version for version in esp if _works(kernel, _sa(one, outside[version], Encap(4500, 4500))))
    shows_keys = bool(esp) and _shows_keys(kernel, _sa(one, NOBODY4 if 4 in esp else NOBODY6, None))
    means = (Means.TAKE if shows_keys else Means.NONE) | _migrations(kernel)
    why = "" if esp and suites else "this kernel has no ESP: load esp4 and esp6, or use the userspace plane"
    return KernelCan(True, esp, encap, suites, means, _knows_direction(kernel), shows_keys, why)


def _sa(suite: str, nobody: Ip, encap: Encap | None) -> Sa:
    return Sa(True, RESERVED_SPI, nobody, nobody, OUR_REQIDS.start, suite_of(suite), encap, UNLIMITED)


def _some_key(buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None:
    """Not zeros, so that they can be told from keys that are hidden."""
    for at in (encryption_at, integrity_at):
        if at is not None:
            buffer[at] = 1


def _works(kernel: Asks, sa: Sa) -> bool:
    answer = kernel.ask(lambda batch: batch.new_sa(sa, _some_key))
    if answer.error in (0, errno.EEXIST):
        kernel.ask(lambda batch: batch.delete_sa(sa))
    return answer.error in (0, errno.EEXIST)


def _shows_keys(kernel: Asks, sa: Sa) -> bool:
    if kernel.ask(lambda batch: batch.new_sa(sa, _some_key)).error:
        return False
    seen = [each for each in kernel.sas() if each.sa.key == sa.key]
    kernel.ask(lambda batch: batch.delete_sa(sa))
    return bool(seen) and not seen[0].keys_hidden


def _migrations(kernel: Asks) -> Means:
    """Asked about SAs that are not there: a kernel that knows the message looks for them."""
    sa = _sa("aes128gcm16", NOBODY4, None)
    means = Means.NONE
    if kernel.ask(lambda batch: batch.migrate_state(sa, sa)).error == errno.ESRCH:
        means |= Means.MIGRATE_STATE
    name = uapi.USERPOLICY_ID.pack(bytes(16), bytes(16), 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1)
    absent = bytes(uapi.USER_MIGRATE.size)
    attribute = uapi.NLATTR.pack(uapi.NLATTR.size + len(absent), Attr.MIGRATE) + absent
    error = kernel.ask(lambda batch: batch.raw(Msg.MIGRATE, 0, name, attribute)).error
    return means if error == errno.ENOPROTOOPT else means | Means.MIGRATE


def _knows_direction(kernel: Asks) -> bool:
    """A kernel that knows the attribute refuses a direction that there is not."""
    sa = _sa("aes128gcm16", NOBODY4, None)
    body = uapi.USERSA_ID.pack(sa.destination.packed + bytes(12), 0, 2, uapi.IPPROTO_ESP)
    odd = uapi.NLATTR.pack(uapi.NLATTR.size + 1, Attr.SA_DIR) + b"\x09\0\0\0"
    return kernel.ask(lambda batch: batch.raw(Msg.GETSA, 0, body, odd)).error in (errno.ERANGE, errno.EINVAL)
