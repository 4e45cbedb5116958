"""A strongSwan daemon: one per namespace, with files, a socket and a /run of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from re import Match
from types import TracebackType
from typing import Self

from .network import Namespace
from .program import GRACE, Program, run
from .sas import IkeSa, parse_sas
from .settings import Answer, Settings, merge, parse_pretty, render
from .waiting import PATIENCE, START, until

CRYPTO = ("random", "nonce", "drbg", "aesni", "aes", "sha1", "sha2", "hmac", "kdf", "gcm", "curve25519", "openssl")

PLUGINS = (*CRYPTO, "kernel-libipsec", "kernel-netlink", "socket-default", "updown", "vici")
"""The order matters: of two plugins with one feature the first gives it, so ESP is that of userspace."""

X509 = ("pem", "pkcs1", "pkcs8", "x509", "pubkey", "mgf1", "constraints")
X509_PLUGINS = (*PLUGINS[:-3], *X509, *PLUGINS[-3:])
"""Those that certificates and public keys take, too."""

DAEMON: Settings = {
    "charon": {
        "load_modular": "no",
        # The first copy of a lost request after 1 s instead of 4: a test should not wait for politeness.
        "retransmit_timeout": "1.0",
        "retransmit_base": "1.4",
        "retransmit_tries": "8",
        "filelog": {"stderr": {"default": "1", "ike": "2", "net": "1", "enc": "1"}},
    },
    "charon-systemd": {"journal": {"default": "-1"}},
}


class Charon:
    """strongSwan in a namespace (None: where we are). Entering starts it and loads its connections."""

    def __init__(
        self,
        ns: Namespace | None,
        directory: Path,
        config: Settings | str,
        *,
        secrets: Settings | None = None,
        plugins: Sequence[str] = PLUGINS,
        settings: Settings | None = None,
        wrapper: Sequence[str] = (),
        stop_grace: float = GRACE,
    ) -> None:
        """`config` (sections, or the text of a file) and `secrets` are of swanctl.conf, `settings` of strongswan.conf;
        `wrapper` starts the daemon."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._inside = () if ns is None else ("ip", "netns", "exec", ns)
        self._wrapper = tuple(wrapper)
        self._stop_grace = stop_grace
        # A path of a Unix socket has 107 bytes at most; the folder of a test may be longer.
        self._socket_folder = tempfile.TemporaryDirectory(prefix="mbk-vici-")
        self._uri = f"unix://{self._socket_folder.name}/vici"
        own: Settings = {"charon": {"load": " ".join(plugins), "plugins": {"vici": {"socket": self._uri}}}}
        _write(directory / "strongswan.conf", render(merge(merge(DAEMON, own), settings or {})))
        text = config if isinstance(config, str) else render(config)
        _write(directory / "swanctl.conf", text + (render({"secrets": secrets}) if secrets else ""))
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """The running daemon: pid, log."""
        if self._program is None:
            raise RuntimeError("this charon was not started")
        return self._program

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        # Its own /run, because the daemon keeps a pid file and sockets there that all namespaces would share.
        script = 'mount -t tmpfs tmpfs /run && exec "$@"'
        argv = [*self._inside, "unshare", "-m", "sh", "-c", script, "sh", *self._wrapper, "charon-systemd"]
        env = {"STRONGSWAN_CONF": str(self._directory / "strongswan.conf")}
        self._program = Program(argv, self._directory / "charon.log", env)
        try:
            until(self._answers, f"{self._program} answers", START)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the daemon; it deletes its SAs and tells the peers."""
        if self._program is not None:
            self._program.stop(grace=self._stop_grace)
        with suppress(FileNotFoundError):
            self._socket_folder.cleanup()

    def load_all(self) -> None:
        """Load connections, pools and secrets."""
        self._swanctl("--load-all", "--clear", "--noprompt", "--file", str(self._directory / "swanctl.conf"))

    def initiate(self, child: str = "net", timeout: float = PATIENCE) -> None:
        """Bring up a child SA and what it needs; raises with the daemon's words if it fails."""
        self._swanctl("--initiate", "--child", child, "--timeout", str(int(timeout)), "--loglevel", "1")

    def terminate(self, ike: str = "gw", timeout: float = PATIENCE) -> None:
        """Delete an IKE SA by the name of its connection."""
        self._swanctl("--terminate", "--ike", ike, "--timeout", str(int(timeout)), "--loglevel", "1")

    def terminate_child(self, child: str = "net", timeout: float = PATIENCE) -> None:
        """Delete a Child SA by its name."""
        self._swanctl("--terminate", "--child", child, "--timeout", str(int(timeout)), "--loglevel", "1")

    def rekey_child(self, child: str = "net") -> None:
        """Order the rekeying of a Child SA; returns before it is done."""
        self._swanctl("--rekey", "--child", child)

    def rekey_ike(self, ike: str = "gw") -> None:
        """Order the rekeying of an IKE SA; returns before it is done."""
        self._swanctl("--rekey", "--ike", ike)

    def list_sas(self) -> list[IkeSa]:
        """All SAs as strongSwan sees them."""
        return parse_sas(self._swanctl("--list-sas", "--pretty", "--noblock"))

    def stats(self) -> Answer:
        """Counters of the daemon: workers, queues, SAs."""
        return parse_pretty(self._swanctl("--stats", "--pretty"))[0]

    def wait_sa(self, condition: Callable[[IkeSa], bool], what: str, timeout: float = PATIENCE) -> IkeSa:
        """Wait until one SA meets the condition; the error shows the SAs there were."""
        try:
            return until(lambda: next(filter(condition, self.list_sas()), None), what, timeout)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self.list_sas()}\n{self.log()[-3000:]}") from None

    def log(self, since: int = 0) -> str:
        """What the daemon logged."""
        return self.program.log(since)

    def mark(self) -> int:
        """The present end of the log."""
        return self.program.mark()

    def wait_log(self, pattern: str, timeout: float = PATIENCE, since: int = 0) -> Match[str]:
        """Wait for a line of the log that matches."""
        return self.program.wait_log(pattern, timeout, since)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.load_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        self.program.wait_log("", timeout=0)  # fails with the log when the daemon is gone
        return run(self._command("--version", "--daemon"), check=False).returncode == 0

    def _swanctl(self, *words: str) -> str:
        return run(self._command(*words), timeout=60).stdout

    def _command(self, *words: str) -> list[str]:
        # Where keys and certificates are looked for.
        return ["env", f"SWANCTL_DIR={self._directory}", "swanctl", *words, "--uri", self._uri]


def _write(path: Path, text: str) -> None:
    """A file for root alone: it may hold secrets."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
