"""What is left of a client that is gone for good: named, shown, taken away, and nothing else with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .rig import GW1, INNER, Mobike, Rig, Toml, mobike_client, mobike_gateway
from .shielded import KNOCKS, knock, watched, works

Plane = Callable[[Mapping[str, Toml]], Mapping[str, Toml]]
FOREIGN = (
    "rule add priority 4555 from 192.0.2.1 lookup 77",
    "rule add priority 4554 from 192.0.2.1 lookup 79",
    "rule add priority 4554 to 192.0.2.0/24 lookup main",
    "rule add priority 4553 from 192.0.2.1 to 192.0.2.2 lookup 78",
    "route add unreachable 192.0.2.3 table 77",
    f"xfrm policy add dir out src 192.0.2.1 dst {INNER} priority 45550 tmpl proto esp reqid 1 mode tunnel",
)
"""Somebody else's, as like to ours as can be."""


def command(rig: Rig, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Of the client's host; the daemon that it could ask is gone."""
    argv = [sys.executable, "-m", "mobike.cli", "--socket", str(folder / "api"), *words]
    return rig.run(rig.client, argv, check=False, env={"COLUMNS": "300"})


def everything(rig: Rig) -> str:
    """All that a daemon could have put there, and what others have."""
    asked = ["xfrm state", "xfrm policy list nosock"]
    asked += [f"{family} {words}" for family in ("-4", "-6") for words in ("rule", "route show table all")]
    return "\n".join(rig.run(rig.client, ["ip", *words.split()]).stdout for words in asked)


def is_named_and_taken_away(rig: Rig, folder: Path, plane: Plane, *, kinds: tuple[str, ...]) -> None:
    """`kinds`: what is left of this plane, in the words of the command."""
    for words in FOREIGN:
        rig.run(rig.client, ["ip", *words.split()])
    before = everything(rig)
    assert command(rig, folder, "cleanup").stdout == "nothing is left of a daemon\n"
    client = Mobike(rig, rig.client, folder / "client", plane(mobike_client(GW1.address, while_down=None)))
    with (
        watched(rig, folder) as seen,
        Mobike(rig, rig.gateway, folder / "gateway", plane(mobike_gateway())),
        client,
    ):
        client.wait_up()
        works(rig)
        client.end(signal.SIGKILL)
        doctor = command(rig, folder, "doctor").stdout
        assert "a daemon that is gone has left" in doctor, doctor
        shown = command(rig, folder, "cleanup")
        for kind in kinds:
            assert kind in shown.stdout, shown.stdout
        knock(rig)
        assert seen() == 0, "to look changes nothing"
        removed = command(rig, folder, "cleanup", "--remove")
        assert removed.returncode == 0, removed.stderr
        assert removed.stdout.splitlines()[:-1] == shown.stdout.splitlines()[:-1]
        assert everything(rig) == before, "and nothing of anybody else"
        assert "has left" not in command(rig, folder, "doctor").stdout
        knock(rig)
        assert seen() == KNOCKS
        client.begin_again()
        client.wait_up()
        works(rig)
        running = command(rig, Path(client.socket).parent, "cleanup", "--remove")
        assert "runs: what is there may be its own" in running.stderr
