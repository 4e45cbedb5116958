"""A machine whose first process is systemd: the kernel of user-mode Linux, this file system below, changes in memory.

Nothing that is done in it reaches the disk, but for what it writes into `/out`. Only what a service needs is started:
the journal, and the unit of the story that is told.
"""

import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.uml import MODULES, end, missing_for_lab, started

ROOT: Final = Path(__file__).parents[2]
_SYSTEMD: Final = Path("/lib/systemd/systemd")
_INIT: Final = r"""#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
kernel=$(uname -r)
mount -t tmpfs modules /lib/modules
mkdir -p /lib/modules/$kernel
mount --bind {modules}/$kernel /lib/modules/$kernel
for module in overlay tun; do modprobe $module; done
mount -t tmpfs changes /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work root /mnt/root || poweroff -f
cd /mnt/root
mkdir -p out before opt/python
mount -t hostfs -o {out} none out
# Where homes are closed to services, an interpreter in one is, too.
mount --bind {python} opt/python
# What machines start by themselves is not for here.
rm -rf etc/systemd/system/*.wants usr/lib/systemd/system/*.wants
: > etc/fstab
cp out/mobike usr/bin/mobike
cp out/story.service out/story.target etc/systemd/system/
cp {units}/mobike.service {units}/mobike.socket etc/systemd/system/
pivot_root . before
umount -l /before
# As any system has it: what is mounted for one service may be seen by others.
mount --make-rshared /
exec chroot . {systemd} --unit=story.target </dev/console >/dev/console 2>&1
"""
_PROGRAM: Final = """#!/bin/sh
# What a package would install: this program, of another prefix.
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={path} LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/{python} -m mobike.cli "$@"
"""
_TARGET: Final = """[Unit]
Requires=story.service
AllowIsolate=yes
"""
_SERVICE: Final = """[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
After=systemd-journald.service
[Service]
Type=oneshot
ExecStart=/bin/bash /out/story
StandardOutput=file:/out/story.log
StandardError=inherit
TimeoutStartSec=infinity
ExecStopPost=/bin/systemctl poweroff -ff
"""
_STEP: Final = """set -u
tell() {  # NAME COMMAND..: what it says, and how it ended
  local name=$1; shift
  "$@" > /out/$name.said 2>&1
  echo $? > /out/$name.ended
}
until_true() {  # SECONDS COMMAND..
  local end=$((SECONDS + $1)); shift
  until "$@" > /dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
"""


def missing_for_systemd() -> str | None:
    """Why no such machine can be booted here, or None."""
    if (missing := missing_for_lab()) is not None:
        return missing
    return None if _SYSTEMD.exists() and shutil.which("linux.uml") else "systemd is not installed"


@dataclass(frozen=True)
class Told:
    """What the steps of a story said."""

    out: Path

    def said(self, step: str) -> str:
        return (self.out / f"{step}.said").read_text(errors="replace")

    def ended(self, step: str) -> int:
        file = self.out / f"{step}.ended"
        assert file.exists(), f"the story did not come to {step!r}:\n{self.log}"
        return int(file.read_text())

    @property
    def log(self) -> str:
        return "\n".join(
            file.read_text(errors="replace")[-4000:]
            for name in ("story.log", "kernel.log")
            if (file := self.out / name).exists()
        )


def tell(story: str, out: Path, *, within_s: float) -> Told:
    """Boot, run a story of bash (`tell NAME COMMAND..` keeps what a command says), and be gone."""
    paths = [sysconfig.get_paths()["purelib"], str(ROOT / "python"), str(ROOT / "api")]
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    _write(out / "mobike", _PROGRAM.format(path=":".join(paths), python=python))
    _write(out / "story.service", _SERVICE)
    _write(out / "story.target", _TARGET)
    _write(out / "story", _STEP + story)
    init = _INIT.format(
        modules=MODULES,
        out=shlex.quote(str(out)),
        python=shlex.quote(sys.base_prefix),
        units=shlex.quote(str(ROOT / "docs/deploy")),
        systemd=_SYSTEMD,
    )
    _write(out / "init", init)
    kernel = f"linux.uml mem=1G rootfstype=hostfs rootflags=/ ro init={out / 'init'} con=null con0=null,fd:1 quiet"
    process = started(kernel, out / "kernel.log")
    try:
        process.wait(within_s)
    finally:
        end(process)
        process.wait()
    return Told(out)


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755 if text.startswith("#!") else 0o644)
