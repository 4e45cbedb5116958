"""The monitor against the real kernel, in a network namespace of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

needs_namespace = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None,
    reason="needs root, unshare and iproute2 for a network namespace",
)


@needs_namespace
@pytest.mark.req("D2-1", "D2-2")
def test_the_monitor_tells_of_addresses_links_and_routes_as_the_kernel_does() -> None:
    story = Path(__file__).with_name("monitor_story.py")
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, str(story)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert [line for line in told if "10.55.0.1 up1" in line][:2] == ["+10.55.0.1 up1", "-10.55.0.1 up1"]


@needs_namespace
def test_packets_leave_over_the_link_of_their_address_and_nothing_is_left_in_the_end() -> None:
    story = Path(__file__).with_name("byways_story.py")
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, str(story)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == [
        "each by its own",
        "by another gateway",
        "after the link was down",
        "no way of its own, none of ours",
        "the address is gone",
        "nothing left",
        "nothing left of a crash",
    ]
