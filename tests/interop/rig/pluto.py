"""A libreswan daemon: one per namespace, with files, keys and a /run of its own, its ESP in the kernel."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from re import Match
from types import TracebackType
from typing import Self

from .network import Namespace
from .program import TAIL, Program, run
from .waiting import PATIENCE, START, until

LIBRESWAN = Path("/opt/libreswan")
"""Where `.ci/system-packages` unpacks it."""

P12_PASSWORD = "of tests only"

_PROGRAMS = LIBRESWAN / "usr/libexec/ipsec"

DAEMON: Mapping[str, str] = {
    "protostack": "xfrm",
    "logtime": "no",
    "plutodebug": "none",
    "uniqueids": "yes",
    "dnssec-enable": "no",
}

_TLS_POLICY = """
library=
name=Policy
NSS=flags=policyOnly,moduleDB
config="allow=tls-version-max={}"
"""
"""What NSS reads beside its keys."""

_STATE = re.compile(r'^(?:000 )?#(\d+): "([^"]+)"(?:\[\d+\])? \S+ (STATE_\S+) ', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PlutoState:
    """One SA of either kind, as `whack --showstates` has it."""

    serial: int
    connection: str
    state: str

    @property
    def is_ike(self) -> bool:
        return "IKE_SA" in self.state


class Pluto:
    """libreswan in a namespace. Entering starts it and loads its connections."""

    def __init__(
        self,
        ns: Namespace,
        directory: Path,
        connections: Mapping[str, Mapping[str, str]],
        *,
        secrets: str = "",
        p12: tuple[Path, ...] = (),
        setup: Mapping[str, str] | None = None,
        newest_tls: str = "",
    ) -> None:
        """`connections` and `setup` are sections of ipsec.conf, `secrets` is the text of ipsec.secrets; `p12` are
        files of keys and certificates (`P12_PASSWORD`); `newest_tls` as NSS names it: "tls1.2"."""
        directory.mkdir(parents=True, exist_ok=True)
        self._ns = ns
        self._directory = directory
        # The socket's path has 107 bytes at most; the folder of a test may be longer.
        self._run_folder = tempfile.TemporaryDirectory(prefix="mbk-pluto-")
        self._names = tuple(connections)
        self._p12 = p12
        self._newest_tls = newest_tls
        self._config = directory / "ipsec.conf"
        sections = {"config setup": {**DAEMON, **(setup or {})}}
        sections |= {f"conn {name}": dict(keys) for name, keys in connections.items()}
        self._config.write_text("".join(map(_section, sections, sections.values())))
        self._secrets = directory / "ipsec.secrets"
        self._secrets.touch(mode=0o600)
        self._secrets.write_text(secrets)
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """The running daemon: pid, log."""
        if self._program is None:
            raise RuntimeError("this pluto was not started")
        return self._program

    def start(self) -> None:
        """Start the daemon, wait until it listens, load its connections."""
        keys = self._directory / "nss"
        keys.mkdir(exist_ok=True)
        database = f"sql:{keys}"
        run(["certutil", "-N", "-d", database, "--empty-password"])
        for file in self._p12:
            run(["pk12util", "-i", str(file), "-d", database, "-W", P12_PASSWORD, "-K", ""])
        self._trust(database)
        if self._newest_tls:
            with (keys / "pkcs11.txt").open("a") as modules:
                modules.write(_TLS_POLICY.format(self._newest_tls))
        argv = [
            str(_PROGRAMS / "pluto"), "--nofork", "--stderrlog", "--config", str(self._config),
            "--secretsfile", str(self._secrets), "--nssdir", str(keys), "--rundir", self._run_folder.name,
            "--ipsecdir", str(self._directory), "--nhelpers", "0", "--use-xfrm", "--log-no-time",
        ]  # fmt: skip
        # It looks for its helpers in /usr/libexec/ipsec, wherever it was unpacked.
        script = 'mount --bind "$0" /usr/libexec && exec "$@"'
        inside = ["ip", "netns", "exec", self._ns, "unshare", "-m", "sh", "-c", script, str(LIBRESWAN / "usr/libexec")]
        self._program = Program([*inside, *argv], self._directory / "pluto.log", _ENVIRONMENT)
        try:
            until(self._answers, f"{self._program} answers", START)
            self._whack("--listen")
            for name in self._names:
                self._run("addconn", "--config", str(self._config), "--ctlsocket", self._socket, name)
        except BaseException as error:
            error.add_note(self.log()[-TAIL:])
            self.stop()
            raise

    def stop(self) -> int:
        """End the daemon; it deletes its SAs and tells the peers."""
        with suppress(Exception):
            self._whack("--shutdown")
        status = self._program.stop(signal.SIGTERM) if self._program is not None else 0
        with suppress(FileNotFoundError):
            self._run_folder.cleanup()
        return status

    def initiate(self, name: str) -> None:
        """Bring up a connection; fails with the daemon's words."""
        self._whack("--name", name, "--initiate", timeout=60)

    def rekey_ike(self, name: str) -> None:
        """Replace the keys of the IKE SA."""
        self._whack("--name", name, "--rekey-ike", "--asynchronous")

    def rekey_child(self, name: str) -> None:
        """Replace the Child SA."""
        self._whack("--name", name, "--rekey-ipsec", "--asynchronous")

    def terminate(self, name: str) -> None:
        """Delete the SAs of a connection."""
        self._whack("--name", name, "--terminate")

    def states(self) -> list[PlutoState]:
        """Its SAs."""
        shown = self._whack("--showstates")
        return [PlutoState(int(serial), name, state) for serial, name, state in _STATE.findall(shown)]

    def wait_states(
        self, condition: Callable[[list[PlutoState]], bool], what: str, timeout: float = PATIENCE
    ) -> list[PlutoState]:
        """Wait until its SAs meet the condition."""

        def look() -> tuple[list[PlutoState]] | None:
            states = self.states()
            return (states,) if condition(states) else None

        try:
            # None at all may be what is hoped for, and `until` takes an empty list for a no.
            return until(look, what, timeout)[0]
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self._whack('--showstates')}\n{self.log()[-TAIL:]}") from None

    def wait_log(self, pattern: str, timeout: float = PATIENCE, since: int = 0) -> Match[str]:
        """Wait for a line of the log that matches."""
        return self.program.wait_log(pattern, timeout, since)

    def log(self, since: int = 0) -> str:
        """What the daemon logged."""
        return self.program.log(since)

    def mark(self) -> int:
        """The present end of the log."""
        return self.program.mark()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._program is not None:
            error.add_note(f"{self._program}:\n{self.log()[-TAIL:]}")
        self.stop()

    @property
    def _socket(self) -> str:
        return f"{self._run_folder.name}/pluto.ctl"

    def _answers(self) -> bool:
        self.program.wait_log("", timeout=0)  # fails with the log when the daemon is gone
        return Path(self._socket).exists()

    def _trust(self, database: str) -> None:
        """Authorities that came along with a certificate are trusted to issue others."""
        listed = run(["certutil", "-L", "-d", database]).stdout
        for name in re.findall(r"^(.+?)\s+,,\s*$", listed, re.MULTILINE):
            run(["certutil", "-M", "-d", database, "-n", name, "-t", "CT,,"])

    def _whack(self, *words: str, timeout: float = 30.0) -> str:
        return self._run("whack", "--ctlsocket", self._socket, *words, timeout=timeout)

    def _run(self, program: str, *words: str, timeout: float = 30.0) -> str:
        return run(
            ["ip", "netns", "exec", self._ns, str(_PROGRAMS / program), *words], env=_ENVIRONMENT, timeout=timeout
        ).stdout


_ENVIRONMENT = {
    "PATH": f"{LIBRESWAN}/usr/sbin:{os.environ.get('PATH', '')}",
    "IPSEC_EXECDIR": str(_PROGRAMS),
    "IPSEC_SBINDIR": str(LIBRESWAN / "usr/sbin"),
}


def _section(head: str, keys: Mapping[str, str]) -> str:
    return head + "\n" + "".join(f"    {key}={value}\n" for key, value in keys.items()) + "\n"
