"""What the rig needs of the machine, asked once, and the skip marks that name what is missing."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from .program import run

RIG_PROGRAMS = ("ip", "nft", "ping", "tcpdump", "unshare")
STRONGSWAN_PROGRAMS = ("charon-systemd", "swanctl")
LIBRESWAN_PROGRAMS = ("certutil", "pk12util", "/opt/libreswan/usr/libexec/ipsec/pluto")
FREERADIUS_PROGRAMS = ("freeradius",)


@cache
def missing_for_rig() -> str | None:
    """Why no rig can be built here, or None."""
    if os.geteuid() != 0:
        return "the network rig needs root"
    if absent := _absent(RIG_PROGRAMS):
        return absent
    if not Path("/dev/net/tun").exists():
        return "the network rig needs /dev/net/tun"
    probe = f"mbk-{os.getpid()}-probe"
    if run(["ip", "netns", "add", probe], check=False).returncode != 0:
        return "network namespaces are not allowed here"
    run(["ip", "netns", "del", probe])
    return None


@cache
def missing_for_strongswan() -> str | None:
    """Why no strongSwan peer can be started here, or None."""
    return missing_for_rig() or _absent(STRONGSWAN_PROGRAMS)


@cache
def missing_for_freeradius() -> str | None:
    """Why no RADIUS server can be started here, or None."""
    return missing_for_rig() or _absent(FREERADIUS_PROGRAMS)


@cache
def missing_for_libreswan() -> str | None:
    """Why no libreswan peer can be started here, or None."""
    return missing_for_rig() or _absent(LIBRESWAN_PROGRAMS)


def _absent(programs: tuple[str, ...]) -> str | None:
    absent = [name for name in programs if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)} (see .ci/system-packages.txt)" if absent else None


requires_rig = pytest.mark.skipif(missing_for_rig() is not None, reason=missing_for_rig() or "")
requires_strongswan = pytest.mark.skipif(missing_for_strongswan() is not None, reason=missing_for_strongswan() or "")
requires_freeradius = pytest.mark.skipif(missing_for_freeradius() is not None, reason=missing_for_freeradius() or "")
requires_libreswan = pytest.mark.skipif(missing_for_libreswan() is not None, reason=missing_for_libreswan() or "")
