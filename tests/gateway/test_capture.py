"""A capture of a running gateway, by the command: tshark opens what it wrote, and reads inside."""

import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.gateway.rig import GATEWAY_IP, Gateway, client, gateway

needs_tshark = pytest.mark.skipif(
    shutil.which("tshark") is None, reason="not installed: tshark (see .ci/system-packages.txt)"
)


def mobike(house: Gateway, *words: object) -> subprocess.CompletedProcess[str]:
    """The command, of this daemon."""
    return subprocess.run(
        [Path(sys.executable).parent / "mobike", *map(str, words)],
        env=os.environ | {"MOBIKE_SOCKET": str(house.end.socket)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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
        told: list[subprocess.CompletedProcess[str]] = []
        words = ("capture", sa["id"], "--seconds", "3", "--into", folder)
        capture = threading.Thread(target=lambda: told.append(mobike(house, *words)))
        capture.start()
        while not house_captures(house):
            one.ping(2)
        one.ping(20)
        # IKE under the old keys and under new ones.
        house.api.post(f"/api/v1/ike-sas/{sa['id']}/rekey", json={}).raise_for_status()
        capture.join()
        (ended,) = told
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "its time is over" in ended.stdout
        assert f"WIRESHARK_CONFIG_DIR={folder}" in ended.stdout
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


def house_captures(house: Gateway) -> bool:
    """Has somebody begun a capture? The log says so."""
    return any(line["event"] == "capture.began" for line in house.log())


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
