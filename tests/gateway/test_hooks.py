"""Hooks: an operator's programs hear of ups, moves and downs; whatever they do, turns go on."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mobike.address import Endpoint, SaId
from mobike.address import Path as Path_
from mobike.config.settings import HookSettings
from mobike.events import IkeSaUp, Nat, Role
from mobike.fleet import Note
from mobike.gateway.hooks import AT_ONCE, WAITING, Hooks
from mobike.handout import Handout
from tests.cli.ends import two_ends, until

SECOND = 1_000_000_000


def script(folder: Path, body: str) -> tuple[str, ...]:
    """A program that runs `body` with the folder at hand."""
    file = folder / f"hook{abs(hash(body))}.py"
    file.write_text(f"import json, os, pathlib, sys, time\nhere = pathlib.Path({str(folder)!r})\n{body}\n")
    return (sys.executable, "-S", "-E", str(file))


def moved(sa: int, why: str = "the link died") -> Note:
    data = {"path": "192.0.2.2:4500 -> 192.0.2.9:4500", "from_path": "192.0.2.1:4500 -> 192.0.2.9:4500", "why": why}
    return Note("moved", "Moved", (), SaId(sa), "office", {**data, "duration_ms": 1.5})


async def wait_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - files and processes set no events
            await asyncio.sleep(0.01)


def told(folder: Path) -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in (folder / "told").read_text().splitlines()] if (folder / "told").exists() else []
    )


TELL = "with open(here / 'told', 'a') as file: file.write(json.dumps(dict(os.environ)) + '\\n')"


@pytest.mark.req("A4-1")
async def test_a_hook_gets_what_happened_and_nothing_of_our_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFICE_PSK", "correct horse battery staple")
    hooks = Hooks({"office": HookSettings(on_move=script(tmp_path, TELL))})
    hooks.see(
        [],
        [
            moved(7, "line\nbreak\0and more"),
            Note("sa-up", "up", (), SaId(7), "office"),
            moved(8)._replace(connection="home"),
        ],
    )
    await wait_until(lambda: told(tmp_path) and not hooks._running)
    (environment,) = told(tmp_path)
    ours = {name: value for name, value in environment.items() if name.startswith("MOBIKE_")}
    assert ours == {
        "MOBIKE_EVENT": "moved",
        "MOBIKE_CONNECTION": "office",
        "MOBIKE_SA": "0000000000000007",
        "MOBIKE_OLD_PATH": "192.0.2.1:4500 -> 192.0.2.9:4500",
        "MOBIKE_NEW_PATH": "192.0.2.2:4500 -> 192.0.2.9:4500",
        "MOBIKE_DURATION_MS": "1.5",
        "MOBIKE_SAS": "1",
        "MOBIKE_WHY": "line?break?and more",
        "MOBIKE_INNER": "",
        "MOBIKE_DNS": "",
        "MOBIKE_NETWORKS": "",
        "MOBIKE_DNS_DOMAINS": "",
        "MOBIKE_DNS_ANCHORS": "",
    }
    assert set(environment) - set(ours) <= {"PATH", "LC_CTYPE"}  # Python sets the latter for itself
    assert hooks.counters() == {"hooks_run": 1, "hooks_failed": 0, "hooks_too_slow": 0, "hooks_untold": 0}


async def test_a_hook_of_a_client_gets_whole_what_the_gateway_told(tmp_path: Path) -> None:
    path = Path_(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.9"), 4500))
    domains = tuple(f"{'x' * 60}{n}.example" for n in range(32))
    handout = Handout(
        (ip_address("10.1.0.53"), ip_address("fd00::53")), ("10.1.0.0/16",), domains, ("a 1 8 2 AA", "b 1 8 2 BB")
    )
    inner = (ip_address("10.9.0.1"), ip_address("fd00:9::1"))
    up = IkeSaUp(SaId(7), None, "office", Role.INITIATOR, path, Nat.NONE, "gw", True, (), inner, 1, 2, "s", (), handout)
    hooks = Hooks({"office": HookSettings(on_up=script(tmp_path, TELL))})
    hooks.see([up], [Note("sa-up", "up", (), SaId(7), "office")])
    await wait_until(lambda: told(tmp_path) and not hooks._running)
    (environment,) = told(tmp_path)
    assert environment["MOBIKE_INNER"] == "10.9.0.1 fd00:9::1"
    assert environment["MOBIKE_DNS"] == "10.1.0.53 fd00::53"
    assert environment["MOBIKE_NETWORKS"] == "10.1.0.0/16"
    assert tuple(environment["MOBIKE_DNS_DOMAINS"].split(" ")) == domains
    assert environment["MOBIKE_DNS_ANCHORS"] == "a 1 8 2 AA\nb 1 8 2 BB"


@pytest.mark.req("A4-1")
async def test_a_slow_hook_is_killed_with_what_it_started_and_holds_up_nobody(tmp_path: Path) -> None:
    slow = script(
        tmp_path,
        "import subprocess; (here / 'child').write_text(str(subprocess.Popen(['sleep', '60']).pid)); time.sleep(60)",
    )
    hooks = Hooks({"office": HookSettings(on_move=slow, timeout=SECOND)})
    before = time.monotonic()
    hooks.see([], [moved(7)])
    assert time.monotonic() - before < 1, "the turn only puts it into the queue, and does not wait until it is killed"
    await wait_until(lambda: hooks.counters()["hooks_too_slow"] and not hooks._running)
    child = Path("/proc", (tmp_path / "child").read_text())
    await wait_until(lambda: not child.exists() or "Z" in (child / "stat").read_text().split())
    assert hooks.counters()["hooks_failed"] == 1


@pytest.mark.req("A4-1")
async def test_hooks_of_one_sa_run_in_order_and_only_so_many_at_a_time(tmp_path: Path) -> None:
    body = "import uuid; running = here / uuid.uuid4().hex; running.touch(); time.sleep(0.05)\n"
    count = "sum(1 for each in here.iterdir() if len(each.name) == 32)"
    body += f"with open(here / 'most', 'a') as file: file.write(f'{{{count}}}\\n')\n{TELL}\nrunning.unlink()"
    hooks = Hooks({"office": HookSettings(on_move=script(tmp_path, body))})
    hooks.see([], [moved(sa, f"{turn}") for turn in range(3) for sa in range(6)])
    await wait_until(lambda: not hooks._running)
    for sa in range(6):
        assert [each["MOBIKE_WHY"] for each in told(tmp_path) if each["MOBIKE_SA"] == f"{sa:016x}"] == ["0", "1", "2"]
    assert max(map(int, (tmp_path / "most").read_text().split())) <= AT_ONCE


@pytest.mark.req("A4-1")
async def test_a_storm_fills_a_bounded_queue_and_what_is_not_told_is_counted() -> None:
    hooks = Hooks({"office": HookSettings(on_move=("/bin/true",))})
    hooks.see([], [moved(sa) for sa in range(WAITING + 10)])
    assert len(hooks._waiting) + len(hooks._running) == WAITING
    assert hooks.counters()["hooks_untold"] == 10
    await hooks.close(30)
    assert hooks.counters() == {"hooks_run": WAITING, "hooks_failed": 0, "hooks_too_slow": 0, "hooks_untold": 10}


async def test_hooks_that_cannot_run_or_end_badly_are_counted_and_the_end_of_the_daemon_ends_them() -> None:
    settings = {"office": HookSettings(on_move=("/no/such/program",)), "home": HookSettings(on_up=("/bin/false",))}
    settings["slow"] = HookSettings(on_down=("/bin/sleep", "60"))
    hooks = Hooks(settings)
    hooks.see([], [moved(1), Note("sa-up", "up", (), SaId(2), "home"), Note("sa-down", "down", (), SaId(3), "slow")])
    await wait_until(lambda: len(hooks._running) == 1)
    assert hooks.counters() == {"hooks_run": 3, "hooks_failed": 2, "hooks_too_slow": 0, "hooks_untold": 0}
    await hooks.close(0.1)
    assert not hooks._running


@pytest.mark.req("A4-1")
def test_two_daemons_tell_their_operators_of_up_move_and_down(tmp_path: Path) -> None:
    pytest.importorskip("mobike._core")
    keys = "".join(f"{hook} = {json.dumps(script(tmp_path, TELL))}\n" for hook in ("on_up", "on_move", "on_down"))
    with two_ends(tmp_path, more=keys, gateway_more=keys) as ends:
        until(ends.client.only_sa, "the client's IKE SA")
        before = ends.client.only_sa()["sa"]
        with ends.client.api() as api:
            assert api.put("/api/v1/addresses/127.0.12.1", json={"available": False}).status_code == 202
        until(
            lambda: {"moved", "peer-moved"} <= {each["MOBIKE_EVENT"] for each in told(tmp_path)}, "both moves are told"
        )
        (move,) = [each for each in told(tmp_path) if each["MOBIKE_EVENT"] == "moved"]
        assert move["MOBIKE_CONNECTION"] == "home"
        assert move["MOBIKE_SA"] == before["id"]
        assert move["MOBIKE_OLD_PATH"].startswith("127.0.12.1:")
        assert move["MOBIKE_NEW_PATH"].startswith("127.0.13.1:")
        assert "127.0.12.1" in move["MOBIKE_WHY"]
        (follow,) = [each for each in told(tmp_path) if each["MOBIKE_EVENT"] == "peer-moved"]
        assert (follow["MOBIKE_CONNECTION"], follow["MOBIKE_SAS"]) == ("rw", "1")
        assert "127.0.13.1" in follow["MOBIKE_NEW_PATH"]
        assert (ends.client.stop(), ends.gateway.stop()) == (0, 0)
    kinds = [each["MOBIKE_EVENT"] for each in told(tmp_path)]
    assert sorted(kinds) == ["moved", "peer-moved", "sa-down", "sa-down", "sa-up", "sa-up"]
    up = next(
        each for each in told(tmp_path) if each["MOBIKE_EVENT"] == "sa-up" and each["MOBIKE_CONNECTION"] == "home"
    )
    assert up["MOBIKE_NEW_PATH"].startswith("127.0.12.1:")
    counted = next(each for each in (tmp_path / "client.log").read_text().splitlines() if "moved" in each)
    assert "correct horse" not in counted
