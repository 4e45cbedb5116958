"""The kernel that is booted for tests does IPsec, and says how a command ended in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.rig import until

from .uml import KERNEL, LabError, boot, missing_for_lab

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(missing_for_lab() is not None, reason=missing_for_lab() or ""),
]

ESP_PAIR = """
set -e
ip link add a type dummy && ip address add 10.0.0.1/32 dev a && ip link set a up
ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1000 mode tunnel aead 'rfc4106(gcm(aes))' 0x{key} 128
ip xfrm state count
exit 7
"""


def test_a_command_runs_to_its_end_in_a_kernel_with_esp(tmp_path: Path) -> None:
    done = boot(["sh", "-c", ESP_PAIR.format(key="11" * 20)], tmp_path)
    assert "SAD count 1" in done.log
    assert done.status == 7
    assert not Path("/sys/class/net/a").exists(), "this machine's own network is another"


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no end within 3 s"):
        boot(["sleep", "1000"], tmp_path, timeout=3.0)
    assert _of_kernel(tmp_path) == []


def test_a_kernel_goes_with_whoever_booted_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    boots = f"""
from pathlib import Path
from tests.lab.uml import boot
boot(["sh", "-c", "echo > {begun}; sync; sleep 1000"], Path("{tmp_path}"))
"""
    whoever = subprocess.Popen([sys.executable, "-c", boots])
    until(begun.exists, "it runs the command")
    whoever.kill()
    whoever.wait()
    until(lambda: _of_kernel(tmp_path) == [], "nothing of the kernel is left")


@pytest.mark.kernel_ipsec
def test_a_test_that_needs_ipsec_finds_a_kernel_that_has_it() -> None:
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", ESP_PAIR.format(key="22" * 20)], check=False, capture_output=True, text=True
    )
    assert "SAD count 1" in done.stdout


def _of_kernel(folder: Path) -> list[str]:
    """Processes of the kernel that says what it does in this folder."""
    words = ["pgrep", "-f", f"^{KERNEL} .*init={folder}/init"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
