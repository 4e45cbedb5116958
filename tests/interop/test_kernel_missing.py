"""What a host's kernel lacks, or who runs the daemon may not: it does not start, says why, and says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.interop.rig import Rig, requires_rig
from tests.lab.uml import has_esp

pytestmark = [pytest.mark.interop, requires_rig]

WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
CONFIG = """\
[daemon]
state_dir = "{folder}"
[api]
socket = ""
tcp = ""
[dataplane]
kind = "{kind}"
inner = "{inner}"
[connections.net]
role = "responder"
local_id = "gw.example.net"
remote_id = "*"
psk = "0123456789abcdef0123456789abcdef"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
"""


def _fails(folder: Path, kind: str, inner: str, *before: str) -> str:
    """The last line that it says."""
    file = folder / "mobike.toml"
    file.touch(mode=0o600)
    file.write_text(CONFIG.format(folder=folder, kind=kind, inner=inner))
    with Rig() as rig:
        argv = [*before, sys.executable, "-m", "mobike.cli", "run", "--config", str(file)]
        done = rig.run(rig.gateway, argv, check=False, timeout=60)
        assert done.returncode == 1, done.stdout + done.stderr
        for what in ("state", "policy"):
            assert rig.run(rig.gateway, ["ip", "xfrm", what]).stdout == "", "and leaves nothing"
        assert "4555" not in rig.run(rig.gateway, ["ip", "rule"]).stdout
    return (done.stdout + done.stderr).splitlines()[-1]


@pytest.mark.parametrize(("kind", "inner"), [("userspace", "tun"), ("kernel", "tun"), ("kernel", "none")])
def test_without_cap_net_admin(tmp_path: Path, kind: str, inner: str) -> None:
    assert "it needs CAP_NET_ADMIN: run as root, or give the capability" in _fails(
        tmp_path, kind, inner, *WITHOUT_RIGHTS
    )


@pytest.mark.skipif(has_esp(), reason="this kernel has ESP")
@pytest.mark.parametrize("inner", ["tun", "none"])
def test_without_esp(tmp_path: Path, inner: str) -> None:
    said = "mobike: cannot start: this kernel has no ESP: load esp4 and esp6, or use the userspace plane"
    assert _fails(tmp_path, "kernel", inner) == said
