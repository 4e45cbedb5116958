"""A capture of a running gateway, by the command: tshark opens what it wrote, and reads inside."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.ends import until
from tests.gateway.rig import GATEWAY_IP, Gateway, client, gateway

needs_tshark = pytest.mark.skipif(
    shutil.which("tshark") is None, reason="not installed: tshark (see .ci/system-packages.txt)"
)


COMMAND = Path(sys.executable).parent / "mobike"


def environment(house: Gateway) -> dict[str, str]:
    """For commands to this daemon."""
    return os.environ | {"MOBIKE_SOCKET": str(house.end.socket)}


def mobike(house: Gateway, *words: object) -> subprocess.CompletedProcess[str]:
    """The command, of this daemon."""
    told = [str(COMMAND), *map(str, words)]
    return subprocess.run(told, env=environment(house), capture_output=True, text=True, timeout=120, check=False)


def read(folder: Path) -> str:
    """All of it as Wireshark shows it, with what is in the folder and nothing else."""
    argv = ["tshark", "-n", "-V", "-r", str(folder / "capture.pcapng")]
    # The ports of these tests are not those of the RFC.
    ports = re.findall(r"Port: (\d+)", subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    natt = [word for port in sorted(set(ports)) for word in ("-d", f"udp.port=={port},udpencap")]
    environment = os.environ | {"WIRESHARK_CONFIG_DIR": str(folder)}
    return subprocess.run([*argv, *natt], env=environment, check=True, capture_output=True, text=True).stdout


@needs_tshark
def test_wireshark_reads_a_capture_with_the_keys_that_came_along(tmp_path: Path) -> None:
    folder = tmp_path / "told"
    with gateway(tmp_path) as house, client("127.0.22.1") as one:
        one.connect(GATEWAY_IP, (house.ike, house.natt))
        (sa,) = house.sas()
        command = [COMMAND, "capture", sa["id"], "--seconds", "600", "--into", folder]
        with subprocess.Popen(command, env=environment(house), stdout=subprocess.PIPE, text=True) as capture:
            id_ = begun(house)
            one.ping(20)
            # A look has been taken at the first keys before there are new ones.
            until(lambda: house.get(f"captures/{id_}")["packets"] >= 40, "the pings are in it")
            house.api.post(f"/api/v1/ike-sas/{sa['id']}/rekey", json={}).raise_for_status()
            until(lambda: house.get(f"captures/{id_}")["packets"] >= 42, "the rekey is in it")
            capture.send_signal(signal.SIGINT)
            out, _ = capture.communicate(timeout=120)
        assert capture.returncode == 0
        assert "you ended it" in out
        assert f"WIRESHARK_CONFIG_DIR={folder}" in out
        with pytest.raises(httpx.HTTPStatusError):
            house.get(f"captures/{'0' * 16}")
        deeds = [deed["action"] for deed in house.get("audit")["items"]]
        assert {"start_capture", "fetch_keys", "end_capture"} <= set(deeds)
    shown = read(folder)
    assert shown.count("Echo (ping) request") >= 20
    assert shown.count("Echo (ping) reply") >= 20
    assert "[correct]" in shown
    assert "Malformed" not in shown
    assert "incorrect" not in shown
    assert "CREATE_CHILD_SA" in shown
    for file in ("capture.pcapng", "esp_sa", "ikev2_decryption_table"):
        assert stat.S_IMODE((folder / file).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def begun(house: Gateway) -> str:
    """The id of the capture that somebody has begun: the log tells it."""

    def told() -> list[str]:
        return [line["capture"] for line in house.log() if line["event"] == "capture.began"]

    until(lambda: bool(told()), "the capture begins")
    return told()[0]


def test_without_keys_there_are_none(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.1") as one:
        one.connect(GATEWAY_IP, (house.ike, house.natt))
        told = mobike(house, "capture", "rw", "--seconds", "1", "--into", tmp_path / "told", "--no-keys")
        assert told.returncode == 0, told.stderr
        assert [each.name for each in (tmp_path / "told").iterdir()] == ["capture.pcapng"]
        again = mobike(house, "capture", "rw", "--into", tmp_path / "told")
        assert (again.returncode, "cannot make" in again.stderr) == (1, True)
        assert mobike(house, "capture", "nobody", "--into", tmp_path / "other").returncode == 1
        assert not (tmp_path / "other").exists()
