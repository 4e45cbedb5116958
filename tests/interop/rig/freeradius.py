"""Debian's FreeRADIUS on the loopback of a namespace: one client (ours), some users, the EAP methods of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .network import Namespace, Rig
from .program import Program

SECRET = "radius secret of tests only"

_CONFIG = """\
name = radiusd
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/radiusd.pid
max_request_time = 30
cleanup_delay = 0
thread pool {{
    start_servers = 1
    max_servers = 2
}}
security {{
    allow_vulnerable_openssl = yes
}}
client ours {{
    ipaddr = 127.0.0.0/8
    secret = "{secret}"
    require_message_authenticator = yes
}}
modules {{
    always reject {{
        rcode = reject
    }}
    files {{
        usersfile = {folder}/users
    }}
    mschap {{
        use_mppe = yes
        require_encryption = yes
    }}
    detail {{
        filename = {folder}/accounts
    }}
    eap {{
        default_eap_type = mschapv2
        timer_expire = 60
        mschapv2 {{
        }}
        {methods}
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = {accounting_port}
    }}
    accounting {{
        detail
    }}
    authorize {{
        files
        mschap
        eap {{
            ok = return
        }}
    }}
    authenticate {{
        Auth-Type MS-CHAP {{
            mschap
        }}
        eap
    }}
    post-auth {{
        Post-Auth-Type REJECT {{
            eap
        }}
    }}
}}
"""


class FreeRadius:
    """`freeradius` in a namespace. Entering starts it and waits until it listens."""

    def __init__(
        self,
        rig: Rig,
        ns: Namespace,
        folder: Path,
        users: Mapping[str, str],
        *,
        port: int = 1812,
        methods: str = "",
        replies: Sequence[str] = (),
    ) -> None:
        """`replies`: what everybody is given: `Framed-IP-Address = 10.9.0.7`. Accounts are taken at the next port."""
        folder.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(folder=folder, secret=SECRET, port=port, accounting_port=port + 1, methods=methods)
        (folder / "radiusd.conf").write_text(config)
        given = ",\n".join(f"\t{each}" for each in replies)
        entries = (f'"{name}" Cleartext-Password := "{password}"\n{given}\n' for name, password in users.items())
        (folder / "users").write_text("".join(entries))
        self._rig, self._ns, self._folder = rig, ns, folder
        self._program: Program | None = None

    def __enter__(self) -> Self:
        argv = ["freeradius", "-f", "-x", "-l", "stdout", "-d", str(self._folder), "-D", "/usr/share/freeradius"]
        self._program = self._rig.spawn(self._ns, argv, {}, log=self._folder / "freeradius.log")
        self._program.wait_log("Ready to process requests")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._program is None:
            return
        self._program.stop()
        if error is not None:
            error.add_note(f"{self._program}:\n{self._program.log()[-6000:]}")

    def accounts(self) -> list[dict[str, str]]:
        """What it was told of sessions, in order."""
        file = self._folder / "accounts"
        blocks = file.read_text().split("\n\n") if file.exists() else []
        return [
            {name.strip(): value.strip().strip('"') for name, _, value in (line.partition("=") for line in lines[1:])}
            for lines in (block.splitlines() for block in blocks)
            if lines
        ]

    def wait_log(self, pattern: str) -> None:
        """Wait for a line of its log that matches."""
        assert self._program is not None
        self._program.wait_log(pattern)
