"""One command in a user-mode Linux kernel that has IPsec."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

KERNEL = os.environ.get("MOBIKE_LAB_KERNEL") or "linux.uml"
"""Debian's, or a file: `make lab KERNEL=newer` builds one."""
MODULES = Path("/usr/lib/uml/modules")
MEMORY = "2G"
"""Taken from the machine as it is used, not before."""

NEEDED = (
    "xfrm_user esp4 esp6 gcm cbc ctr authenc echainiv seqiv hmac sha1_generic sha256_generic sha512_generic "
    "chacha20poly1305 veth dummy tun sch_netem nf_conntrack_netlink iptable_nat ip6table_nat "
    "iptable_raw ip6table_raw xt_MASQUERADE"
)

INSIDE = "MOBIKE_LAB"
"""Set in the environment of what runs in this kernel."""

_LEASH = "setpriv --pdeathsig KILL unshare --pid --fork --kill-child --"
"""The kernel is a family of processes, most of them traced by another. Here they have a namespace, which ends with its
first process; that one is killed with `unshare`, and that with whoever boots, however it ends."""

_INIT = """\
#!/bin/sh
export PATH={path} HOME=/root TERM=dumb TMPDIR=/dev/shm/tmp {inside}=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/net /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm && mkdir /dev/shm/tmp
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
kernel=$(uname -r)
mount -t tmpfs modules /lib/modules
if [ -d {modules}/$kernel ]; then
    mkdir -p /lib/modules/$kernel
    mount --bind {modules}/$kernel /lib/modules/$kernel
    for module in {needed}; do modprobe -q $module; done
fi
ip link set lo up
cd {cwd}
{command} >{log} 2>&1 </dev/null
echo $? >{status}
sync
poweroff -f
"""


class Done(NamedTuple):
    """How the command ended, and what it and the kernel said."""

    status: int
    log: str


class LabError(RuntimeError):
    """The kernel did not come to the end of the command."""


@cache
def missing_for_lab() -> str | None:
    """Why no kernel can be booted here, or None."""
    if os.geteuid() != 0:
        return "a kernel of user-mode Linux needs root, for what runs in it"
    absent = [name for name in (KERNEL, "modprobe") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)} (see .ci/system-packages.txt)" if absent else None


@cache
def has_esp() -> bool:
    """Does the kernel that we run in take ESP SAs? Asked in a namespace of its own."""
    if os.environ.get(INSIDE):
        return True
    if os.geteuid() != 0:
        return False
    words = "xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 0x1000 mode tunnel"
    key = "0x" + "11" * 20
    argv = ["unshare", "-n", "ip", *words.split(), "aead", "rfc4106(gcm(aes))", key, "128"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def boot(argv: Sequence[str], folder: Path, *, timeout: float = 120.0, memory: str = MEMORY) -> Done:
    """Run `argv` in the present working directory to its end. `folder` keeps what is said meanwhile."""
    return Boot(argv, folder, memory).wait(timeout)


def started(kernel: str, log: Path) -> subprocess.Popen[bytes]:
    """A kernel with its arguments, which goes with whoever starts it, however that ends. What it says is in `log`."""
    with log.open("wb") as said:
        # A group of its own: Ctrl-C is for whoever boots, who ends it then.
        return subprocess.Popen(
            [*_LEASH.split(), *kernel.split()],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def end(kernel: subprocess.Popen[bytes]) -> None:
    """One that was started: end it now."""
    with suppress(ProcessLookupError):
        os.killpg(kernel.pid, signal.SIGKILL)


class Boot:
    """A kernel that runs one command, in the present working directory, and goes.

    Files are those of the machine, but for /run, /dev/shm and TMPDIR, which are in memory.
    """

    def __init__(self, argv: Sequence[str], folder: Path, memory: str = MEMORY) -> None:
        """`folder` keeps what is said meanwhile."""
        self.folder = folder
        self._argv = argv
        self._begun = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._status.unlink(missing_ok=True)
        init = folder / "init"
        init.write_text(
            _INIT.format(
                path=f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                inside=INSIDE,
                modules=MODULES,
                needed=NEEDED,
                cwd=shlex.quote(str(Path.cwd())),
                command=shlex.join(argv),
                log=shlex.quote(str(self._log)),
                status=shlex.quote(str(self._status)),
            )
        )
        init.chmod(0o755)
        Path("/lib/modules").mkdir(exist_ok=True)
        kernel = f"mem={memory} rootfstype=hostfs rootflags=/ rw init={init} con=null con0=null,fd:1 quiet"
        self._process = started(f"{KERNEL} {kernel}", self._kernel_log)

    def wait(self, timeout: float) -> Done:
        """Wait for the end of the command, and of the kernel."""
        if not self.ended_within(timeout):
            self.end()
        return self.done()

    def ended_within(self, seconds: float) -> bool:
        """Wait for so long at most; is the kernel gone?"""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def done(self) -> Done:
        """How the command ended, once the kernel is gone."""
        self._process.wait()
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        if not self._status.exists():
            lasted = time.monotonic() - self._begun
            kernel = self._kernel_log.read_text(errors="replace")[-2000:]
            raise LabError(f"no end within {lasted:.0f} s: {shlex.join(self._argv)}\n{kernel}\n{text[-4000:]}")
        return Done(int(self._status.read_text()), text)

    def end(self) -> None:
        """End it now."""
        end(self._process)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _status(self) -> Path:
        return self.folder / "status"

    @property
    def _kernel_log(self) -> Path:
        return self.folder / "kernel.log"
