"""What of a host and of a configuration stands in the way, beside the kernel's IPsec: ports, clock, certificates,
limits, files. Looked at, said with what to do, and never changed.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from mobike.address import Ip
from mobike.auth.trust import TrustError
from mobike.config import Inner, LinkSource, Settings
from mobike.config.terms import Standing, in_force, terms_of_api
from mobike.dataplane.xfrm.health import Grade

FEW_FILES: Final = 4096
"""Open files: each TCP stream and each caller of the API is one."""
FOR_OTHERS: Final = 0o077
"""Permissions that a file for its owner alone does not give."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of `mobike doctor`."""

    grade: Grade
    text: str
    fix: str = ""


class Host(Protocol):
    """What is looked at."""

    def now(self) -> datetime: ...

    def is_synchronised(self) -> bool | None:
        """The clock follows others; None: nobody knows."""
        ...

    def may_bind(self, ip: Ip, port: int, *, stream: bool) -> int | None:
        """The error of trying; None: it is free."""
        ...

    def open_files(self) -> tuple[int, int]:
        """The limit, and how far it may be raised."""
        ...

    def mode(self, path: Path) -> int | None:
        """Permissions of a file; None: there is none."""
        ...

    def may_write(self, folder: Path) -> bool: ...


def look(settings: Settings, host: Host, *, runs: bool) -> Iterator[Checked]:
    """All of it. `runs`: a daemon of this configuration answers, so that its ports are its own."""
    yield from clock(host)
    yield from ports(settings, host, runs=runs)
    yield from certificates(settings, host)
    yield from files(settings, host)
    yield from limits(settings, host)
    yield from connections(settings)


def clock(host: Host) -> Iterator[Checked]:
    """Certificates, tickets and tokens rest on it."""
    match host.is_synchronised():
        case True:
            yield Checked(Grade.PASS, "the clock is kept right by others")
        case False:
            yield Checked(
                Grade.WARN,
                "nobody keeps the clock right: certificates and OCSP responses may be refused that are good",
                "let chrony or systemd-timesyncd run: timedatectl set-ntp true",
            )
        case None:
            yield Checked(Grade.WARN, "the kernel does not say whether the clock is right", "look yourself: date -u")


def ports(settings: Settings, host: Host, *, runs: bool) -> Iterator[Checked]:
    """Can the daemon listen?"""
    daemon = settings.daemon
    if runs:
        yield Checked(Grade.PASS, f"UDP {daemon.ike_port} and {daemon.natt_port} are the daemon's, which runs")
        return
    streams = any(each.profile.accepts and each.profile.tcp for each in settings.connections)
    wanted = [(port, False) for port in (daemon.ike_port, daemon.natt_port)]
    wanted += [(daemon.natt_port, True)] if streams else []
    for port, stream in wanted:
        name = f"{'TCP' if stream else 'UDP'} {port}"
        errors = {ip: host.may_bind(ip, port, stream=stream) for ip in daemon.listen}
        bad = {ip: error for ip, error in errors.items() if error is not None}
        if not bad:
            yield Checked(Grade.PASS, f"{name} is free")
        for ip, error in bad.items():
            yield _no_port(name, ip, error)


def _no_port(name: str, ip: Ip, error: int) -> Checked:
    where = f"{name} on {ip}"
    match error:
        case errno.EADDRINUSE:
            return Checked(
                Grade.FAIL,
                f"{where} is in use by another program",
                f"ss -lunpt 'sport = :{name.split()[1]}' names it; often it is charon: systemctl stop strongswan",
            )
        case errno.EACCES | errno.EPERM:
            return Checked(
                Grade.WARN, f"{where} is not for you", "ask again as root; the daemon needs CAP_NET_BIND_SERVICE"
            )
        case errno.EADDRNOTAVAIL:
            return Checked(Grade.FAIL, f"{ip} is no address of this host", "correct `listen` in [daemon]")
        case errno.EAFNOSUPPORT:
            return Checked(Grade.WARN, f"{where}: this host knows no IPv{ip.version}", "leave it out of `listen`")
        case _:
            return Checked(Grade.FAIL, f"{where}: {os.strerror(error)}", "look at `listen` in [daemon]")


def certificates(settings: Settings, host: Host) -> Iterator[Checked]:
    """Ours, those that we trust, what these took back, and those of the API: are they good now, and for how long?"""
    now = host.now()
    try:
        of_api = terms_of_api(settings.api.tls)
    except (OSError, TrustError) as problem:
        of_api = ()
        yield Checked(
            Grade.FAIL,
            f"the API's certificates cannot be read: {problem}",
            "correct tls_certificate, client_ca in [api]",
        )
    good = []
    for each in in_force(settings, of_api):
        match each.standing(now):
            case Standing.GOOD:
                good.append(each)
            case Standing.NEAR:
                yield Checked(Grade.WARN, each.said(now), each.fix(now))
            case Standing.EARLY | Standing.PAST:
                yield Checked(Grade.FAIL, each.said(now), each.fix(now))
    if len(good) == 1:
        yield Checked(Grade.PASS, good[0].said(now))
    elif good:
        first = f"{good[0].what}, at {good[0].until:%F %R} UTC"
        yield Checked(Grade.PASS, f"{len(good)} certificates and lists are good; the first to expire is {first}")


def files(settings: Settings, host: Host) -> Iterator[Checked]:
    """What the daemon keeps, and whom it is for."""
    folder = settings.daemon.state_dir
    if not host.may_write(folder):
        yield Checked(Grade.FAIL, f"{folder} cannot be written", f"install -d -m 700 {folder}, for the daemon's user")
    open_to_others = [
        path
        for path in (settings.api.token_file, settings.api.books, *_keys(settings))
        if (mode := host.mode(path)) is not None and mode & FOR_OTHERS
    ]
    for path in open_to_others:
        yield Checked(Grade.FAIL, f"{path} can be read by others than its owner", f"chmod 600 {path}")
    if host.may_write(folder) and not open_to_others:
        yield Checked(Grade.PASS, f"{folder} can be written, and what is in it is for its owner alone")


def _keys(settings: Settings) -> Iterator[Path]:
    if settings.daemon.config_key_file is not None:
        yield settings.daemon.config_key_file
    if settings.api.tls is not None:
        yield settings.api.tls.key


def limits(settings: Settings, host: Host) -> Iterator[Checked]:
    """What the process may have."""
    soft, hard = host.open_files()
    streams = any(each.profile.tcp for each in settings.connections)
    if hard < FEW_FILES and streams:
        yield Checked(
            Grade.WARN,
            f"at most {hard} files may be open, and each TCP stream is one",
            "LimitNOFILE= in the unit of the daemon, or ulimit -Hn",
        )
    else:
        yield Checked(Grade.PASS, f"{max(soft, hard)} files may be open")


def connections(settings: Settings) -> Iterator[Checked]:
    """Is there anything to do, and can it be done?"""
    if not settings.connections:
        yield Checked(Grade.WARN, "there is no connection", "mobike.example.toml shows some; or mobike connection set")
        return
    weak = [each.name for each in settings.connections if each.profile.psk and len(each.profile.psk) < _SHORT_PSK]
    for name in weak:
        yield Checked(
            Grade.WARN,
            f"the psk of {name} is shorter than {_SHORT_PSK} octets: who records a handshake as the peer can guess it",
            "head -c 32 /dev/urandom | base64, at both ends",
        )
    if settings.links.source is LinkSource.MANUAL and settings.dataplane.inner is Inner.TUN:
        yield Checked(
            Grade.WARN, 'links are "manual": a lost uplink is not noticed', 'set source = "netlink" in [links]'
        )
    count = len(settings.connections)
    yield Checked(Grade.PASS, f"{count} connection{'' if count == 1 else 's'} can be read")


_SHORT_PSK: Final = 16
