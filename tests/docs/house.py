"""The machine that pages speak of: root's, with two uplinks and a daemon whose files are in /etc/mobike, so that
commands are run as they are written. Its network and what it sees of /etc, /run and /var/lib are its own.

    unshare --mount --net --pid --fork --kill-child --mount-proc python -m tests.docs.house FOLDER

reads FOLDER/lines (JSON: page and line, in their order), runs each, and writes what came of it to FOLDER/told.

    eth0   192.0.2.7                      203.0.113.1     gw.example.net: a gateway, its API over TLS
                        - two links -
    wwan0  198.51.100.2                   198.51.100.7    a stranger with old algorithms, who is also a road warrior
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.auth.pki import Authority
from tests.docs import forks

ROOT: Final = Path(__file__).parents[2]
LINE_S: Final = 90.0
"""For one line, while others compute."""
START_S: Final = 60.0
SITES: Final = 11
"""Connections beside `office`."""

_NETWORK: Final = """
set -eu
mount --make-rprivate /
mkdir etc state
cp -a /etc/. etc; mount --bind etc /etc
mount -t tmpfs run /run; mount --bind state /var/lib
mkdir -m 755 /run/mobike /run/netns; mkdir -m 700 /etc/mobike /var/lib/mobike
echo '203.0.113.1 gw.example.net' >> /etc/hosts
ip netns add site
inside() { ip netns exec site "$@"; }
ip link set lo up; inside ip link set lo up
ip link add eth0 type veth peer name west netns site
ip link add wwan0 type veth peer name east netns site
ip addr add 192.0.2.7/24 dev eth0; ip addr add 198.51.100.2/24 dev wwan0
inside ip addr add 192.0.2.1/24 dev west
inside ip addr add 198.51.100.1/24 dev east; inside ip addr add 198.51.100.7/24 dev east
inside ip addr add 203.0.113.1/32 dev lo
for link in eth0 wwan0; do ip link set $link up; done
for link in west east; do inside ip link set $link up; done
{ for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $file; inside sh -c "echo 0 > $file"; done; } 2>&- || :
ip route add default via 192.0.2.1 dev eth0 metric 100
ip route add default via 198.51.100.1 dev wwan0 metric 200
"""

_KEY: Final = "correct horse battery staple"
_OURS: Final = """\
[dataplane]
inner = "echo"
[links]
rule = [{ match = "eth0", rank = 1 }, { match = "wwan0", rank = 2 }, { match = "*", allow = false }]
[connections.roadwarriors]
role = "responder"
local_id = "gw.here.example.net"
remote_id = "*@example.net"
psk_file = "roadwarriors.psk"
local_ts = ["10.1.0.0/16"]
pool = ["10.99.0.0/16"]
"""
_SITE: Final = """\
[connections.NAME]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "NAME@example.net"
remote_id = "gw.example.net"
psk_file = "office.psk"
virtual_ip = ["ipv4"]
"""
_GATEWAY: Final = """\
[daemon]
listen = ["203.0.113.1"]
state_dir = "state"
[api]
socket = "state/api.sock"
tcp = "203.0.113.1:8650"
tls_certificate = "gw.pem"
tls_key = "gw.key"
[dataplane]
inner = "echo"
[connections.people]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "KEY"
local_ts = ["10.1.0.0/16"]
pool = ["10.98.0.0/16"]
"""
_STRANGER: Final = """\
[daemon]
listen = ["198.51.100.7"]
state_dir = "state"
[api]
socket = "state/api.sock"
tcp = ""
[dataplane]
inner = "echo"
[connections.warrior]
role = "initiator"
remote = ["192.0.2.7"]
local_id = "ann@example.net"
remote_id = "gw.here.example.net"
psk = "KEY"
virtual_ip = ["ipv4"]
[connections.old]
role = "initiator"
remote = ["198.51.100.2"]
local_id = "old@example.net"
remote_id = "gw.here.example.net"
psk = "KEY"
ike = ["aes256-sha1-prfsha256-modp2048"]
virtual_ip = ["ipv4"]
"""

BEFORE: Final[Mapping[tuple[str, str], str]] = {
    ("README.md", "curl"): "ln -s /var/lib/mobike/api.token TOKEN_FILE",
    ("README.md", ".venv/bin/mobike status"): "until mobike up office --wait 30; do sleep 0.2; done",
    ("docs/cli.md", "mobike --socket"): "mobike back office",
    ("docs/cli.md", "mobike --url"): "cp site/state/api.token me.token; cp site/ca.pem .",
    (
        "docs/cli.md",
        "mobike connection set branch branch.toml --new",
    ): """printf '%s\\n' 'role = "responder"' 'local_id = "gw.example.net"' 'remote_id = "*@branch.example.net"' \\
'psk = "a secret of the branch"' 'local_ts = ["10.1.0.0/16"]' 'pool = ["10.97.0.0/16"]' > branch.toml""",
    ("docs/cli.md", "mobike why"): "until mobike why 198.51.100.7; do sleep 0.2; done",
    ("docs/cli.md", "mobike order move"): "mobike move office --local 198.51.100.2",
    ("docs/cli.md", "mobike drill"): "mobike avoid wwan0 --lift; mobike order unpin --all",
    (
        "docs/configuration.md",
        "mobike config diff",
    ): "cp -r /etc/mobike edited; sed -i s/0.0.0.0/127.0.0.1/ edited/*.toml",
    ("docs/configuration.md", "mobike config apply"): "touch_files 1",
    ("docs/configuration.md", "mobike config changes"): "for n in $(seq 2 13); do touch_files $n; mobike reload; done",
    ("docs/configuration.md", "mobike credential set annex"): "echo a-secret-of-annex > annex.psk",
    ("docs/configuration.md", "mobike credential set gw"): "cat site/gw.key site/gw.pem > gw-and-chain.pem",
    (
        "docs/hooks.md",
        "sh -s",
    ): "printf '#!/bin/sh\\necho \"$@\" >> resolved\\n' > bin/resolvectl; chmod +x bin/resolvectl;"
    " export MOBIKE_DNS=10.1.0.53 MOBIKE_DNS_DOMAINS=corp.example",
    ("docs/import-swanctl.md", "mobike import swanctl /etc/swanctl --into"): "mv /etc/mobike kept",
    ("docs/metrics.md", "mobike token"): "rm -rf /etc/mobike; mv kept /etc/mobike; mkdir /etc/prometheus",
}
"""Page and how a line begins: what somebody did before who types it."""

_MEANWHILE: Final = """
touch_files() {
  sed -i "/^liveness/d; s/^psk_file = \\"roadwarriors.*/&\\nliveness = \\"$((10 + $1))s\\"/" /etc/mobike/mobike.toml
}
"""


class House:
    """While it stands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("MOBIKE_")}
        self._environ |= {
            "PATH": f"{folder / 'bin'}:{self._environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "120",
            "EDITOR": "true",
        }
        self._token = "3f9c0a17d2e4"
        """What pages call the token that was made last."""

    def build(self) -> None:
        """Files and daemons, but for the one that the pages start themselves."""
        self._bash(_NETWORK, check=True)
        for name, text in (("site", _GATEWAY), ("stranger", _STRANGER)):
            (self._folder / name).mkdir()
            self._write(self._folder / name / "mobike.toml", text.replace("KEY", _KEY))
        authority = Authority.new(at=datetime.now(UTC))
        authority.write(self._folder / "site/ca.pem")
        authority.issue("gw.example.net").write(self._folder / "site", "gw")
        ours = Path("/etc/mobike")
        names = ["office", *(f"site{number:02}" for number in range(SITES))]
        self._write(ours / "mobike.toml", _OURS + "".join(_SITE.replace("NAME", name) for name in names))
        for name in ("office", "roadwarriors"):
            self._write(ours / f"{name}.psk", _KEY)
        swanctl = Path("/etc/swanctl")
        swanctl.mkdir(exist_ok=True)
        example = (ROOT / "docs/examples/site-to-site/west.swanctl.conf").read_text()
        self._write(swanctl / "swanctl.conf", example)
        (self._folder / "docs").symlink_to(ROOT / "docs")
        (self._folder / ".venv").mkdir()
        (self._folder / ".venv/bin").symlink_to(self._folder / "bin")
        for name in ("site", "stranger"):
            self._bash(f"ip netns exec site mobike run --config {name} >> {name}.log 2>&1 &", check=True)

    def type(self, page: str, line: str) -> tuple[int, str]:
        """How it ended, and what it said."""
        first = next((each for (of, begins), each in BEFORE.items() if of == page and line.startswith(begins)), "")
        if re.match(r"(\.venv/bin/)?mobike run ", line):
            # Somebody has another terminal for it.
            code, said = self._bash(f"{line} >> run.log 2>&1 &")
            self._wait_for_daemon()
            return code, said
        typed = line.replace("3f9c0a17d2e4", self._token)
        code, said = self._bash(f"{_MEANWHILE}\n{first and '{ ' + first.rstrip('; ') + '; } >&2'}\n{typed}")
        if made := re.match(r"mobike_([0-9a-f]{12})_", said):
            self._token = made[1]
        return code, said

    def _wait_for_daemon(self) -> None:
        end = time.monotonic() + START_S
        while self._bash("mobike status > /dev/null")[0]:
            assert time.monotonic() < end, (self._folder / "run.log").read_text()
            time.sleep(0.1)

    def _bash(self, script: str, *, check: bool = False) -> tuple[int, str]:
        try:
            ended = subprocess.run(
                ["bash", "-c", script], cwd=self._folder, env=self._environ, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=LINE_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            return 124, f"no end within {LINE_S:g} s\n{late.stdout!r}\n{late.stderr!r}"
        assert not check or ended.returncode == 0, ended.stderr
        return ended.returncode, ended.stdout if ended.returncode == 0 else ended.stdout + ended.stderr

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.write_text(text)
        file.chmod(0o600)


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "bin").mkdir()
    house = House(folder)
    # What is started here ends with the namespace of its processes.
    with forks.program(folder / "bin"):
        house.build()
        with (folder / "told").open("w") as told:
            for page, line in json.loads((folder / "lines").read_text()):
                code, said = house.type(page, line)
                told.write(json.dumps([page, line, code, said]) + "\n")
                told.flush()


if __name__ == "__main__":
    main()
