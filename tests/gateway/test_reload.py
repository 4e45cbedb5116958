"""A daemon whose configuration changes while it runs: tunnels that are not concerned carry on, all of an edit is obeyed
or nothing of it, and what waits for a restart is said.
"""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike.commands import Profile
from mobike.events import ChildUp, ConnectFailed, IkeSaDown, IkeSaUp
from tests.cli.ends import KEY, until
from tests.gateway.rig import CLIENT, GATEWAY_IP, Client, Gateway, client, gateway

LAB = """\
[connections.lab]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@lab.example.org"
psk = "{key}"
local_ts = ["10.1.0.1/32"]
pool = ["10.98.0.0/24"]
"""
LAB_KEY = "wrong horse, other battery"
GUEST = replace(CLIENT, name="guest", local_id="guest@lab.example.org", psk=LAB_KEY.encode())


def beside(house: Gateway, name: str = "lab") -> Path:
    folder = house.end.config.parent / "conf.d"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.toml"


def write(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def apply(house: Gateway, **order: Any) -> Any:
    """What was done."""
    answer = house.api.post("/api/v1/config/apply", json=order)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(house: Gateway) -> Any:
    answer = house.api.post("/api/v1/config/apply", json={})
    assert answer.status_code in {409, 422}, answer.text
    return answer.json()


def comes_up(one: Client, house: Gateway, profile: Profile, token: int = 7) -> IkeSaUp:
    one.order(GATEWAY_IP, (house.ike, house.natt), profile, token)
    return one.wait_for(IkeSaUp, lambda up: up.token == token)


def stays_out(one: Client, house: Gateway, profile: Profile, token: int) -> ConnectFailed:
    one.order(GATEWAY_IP, (house.ike, house.natt), profile, token)
    return one.wait_for(ConnectFailed, lambda failed: failed.token == token)


def test_a_tunnel_carries_on_while_another_connection_is_added_changed_and_removed(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.1") as honest, client("127.0.22.2") as guest:
        honest.connect(GATEWAY_IP, (house.ike, house.natt))
        (before,) = house.sas()

        def pinged(act: Callable[[], Any]) -> Any:
            honest.ping()
            done = act()
            honest.ping()
            return done

        stays_out(guest, house, GUEST, 1)
        write(beside(house), LAB.format(key=LAB_KEY))
        (step,) = pinged(lambda: apply(house))["steps"]
        assert (step["connection"], step["what"]) == ("lab", "added")
        up = pinged(lambda: comes_up(guest, house, GUEST, 2))
        assert str(up.virtual_ips[0]) == "10.98.0.1"

        write(beside(house), LAB.format(key="a third horse, yet another"))
        (step,) = pinged(lambda: apply(house))["steps"]
        assert (step["what"], step["touch"], step["ike_sas"]) == ("changed", "close", 1)
        pinged(lambda: guest.wait_for(IkeSaDown, lambda down: down.sa == up.sa))
        pinged(lambda: stays_out(guest, house, GUEST, 3))
        other = replace(GUEST, psk=b"a third horse, yet another")
        up = pinged(lambda: comes_up(guest, house, other, 4))

        beside(house).unlink()
        (step,) = pinged(lambda: apply(house))["steps"]
        assert (step["what"], step["ike_sas"]) == ("removed", 1)
        pinged(lambda: guest.wait_for(IkeSaDown, lambda down: down.sa == up.sa))
        pinged(lambda: stays_out(guest, house, other, 5))
        until(lambda: [each["id"] for each in house.sas()] == [before["id"]], "only the honest one is left")
        assert house.sas() == [before], "nothing of it is another than before"
        honest.take()
        assert not any(isinstance(event, IkeSaDown) for event in honest.events)


def test_sighup_does_the_same_and_tells_the_log(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.3") as guest:
        write(beside(house), LAB.format(key=LAB_KEY))
        house.end.process.send_signal(signal.SIGHUP)
        until(lambda: len(house.get("connections")["items"]) == 2, "the connection is there")
        comes_up(guest, house, GUEST, 1)
        lines = [line for line in house.log() if line["event"] == "config-applied"]
        assert ["lab added" in line["text"] for line in lines] == [True]
        write(beside(house), LAB.format(key=LAB_KEY).replace("pool", "poool"))
        house.end.process.send_signal(signal.SIGHUP)
        until(lambda: "config-refused" in house.end.log.read_text(), "it is refused")
        (line,) = [line for line in house.log() if line["event"] == "config-refused"]
        assert "lab.toml:7: connections.lab.poool: unknown key; did you mean pool?" in line["text"]
        assert len(house.sas()) == 1


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace('psk = "', 'pskk = "'), "did you mean psk?"),
        (lambda text: text + '[connections.rw]\nrole = "responder"\n', "is in"),
        (lambda text: text.replace("10.98.0.0/24", "10.99.7.0/24"), "overlaps"),
        (lambda text: text + "[nonsense", ""),
    ],
)
def test_what_is_wrong_changes_nothing(tmp_path: Path, edit: Callable[[str], str], words: str) -> None:
    with gateway(tmp_path) as house, client("127.0.22.4") as honest:
        honest.connect(GATEWAY_IP, (house.ike, house.natt))
        state, sas = house.get("config"), house.sas()
        # The first connection of the file is good, and is not obeyed either.
        good = LAB.format(key=LAB_KEY).replace("lab", "annex").replace("10.98", "10.97")
        write(beside(house, "annex"), good)
        write(beside(house), edit(LAB.format(key=LAB_KEY)))
        problem = refused(house)
        assert problem["type"] == "urn:problem-type:mobike:invalid-configuration"
        assert words in problem["detail"]
        assert "lab.toml" in problem["detail"]
        assert LAB_KEY not in str(problem)
        assert (house.get("config"), house.sas()) == (state, sas)
        assert [each["name"] for each in house.get("connections")["items"]] == ["rw"]
        honest.ping()


def test_a_plan_says_what_an_edit_does_to_live_sas_and_changes_nothing(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.5") as honest:
        both = replace(CLIENT, esp_proposals=("aes128gcm16", "aes256gcm16"))
        honest.connect(GATEWAY_IP, (house.ike, house.natt), both)
        config, before = house.end.config, house.end.config.read_text()
        config.write_text(before + 'esp = ["aes256gcm16"]\nliveness = "7s"\n')
        answer = house.api.post("/api/v1/config/plan", json={}).raise_for_status().json()
        (step,) = answer["steps"]
        assert (step["connection"], step["touch"], step["ike_sas"]) == ("rw", "rekey", 1)
        assert {change["key"]: change["effect"] for change in step["changes"]} == {
            "connections.rw.esp": "child",
            "connections.rw.liveness": "nothing",
        }
        kept = house.api.post("/api/v1/config/plan", json={"keep": True}).raise_for_status().json()
        assert kept["steps"][0]["touch"] == "next"
        assert house.get("config")["revision"] == 1
        honest.ping()
        # And then it does.
        apply(house)
        assert honest.wait_for(ChildUp).suite == "aes256gcm16"
        honest.ping()
        assert len(house.sas()) == 1
        assert house.get("config")["revision"] == 2


def test_what_needs_a_restart_is_said_until_there_was_one(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        config, before = house.end.config, house.end.config.read_text()
        config.write_text(before.replace("[limits]", "[limits]\nmax_half_open = 77"))
        for _ in range(2):
            done = apply(house)
            assert done["steps"] == []
            assert [change["key"] for change in done["restart"]] == ["limits.max_half_open"]
        assert [change["key"] for change in house.get("config")["restart"]] == ["limits.max_half_open"]
        config.write_text(before)
        assert apply(house)["restart"] == []


def test_the_log_says_more_from_now_on(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.6") as honest:
        config = house.end.config
        config.write_text(config.read_text().replace('log_format = "json"', 'log_format = "json"\nlog_level = "debug"'))
        assert [change["key"] for change in apply(house)["rest"]] == ["daemon.log_level"]
        honest.connect(GATEWAY_IP, (house.ike, house.natt))
        until(lambda: "child-up" in house.end.log.read_text(), "what is quiet is told")
        assert KEY not in house.end.log.read_text()
