"""Every command against a real API: what it says, what it does, how it ends."""

import json
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mobike.cli.draw import ago
from mobike.facade import ConnectionView, MoveView
from tests.api.house import BORN, a_sa
from tests.cli.conftest import Run, Running

# --- status ----------------------------------------------------------------------------------------------------------


def test_status_shows_connections_and_each_sa_with_its_path_and_why(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "status")
    assert (told.code, told.err) == (0, "")
    lines = [line.rstrip() for line in told.out.splitlines()]
    assert lines[0] == "mobike 0.1.0  up 1h 2m  ready  1 IKE SA"
    assert re.search(r"lab +initiator +● down +0 +no answer from 203\.0\.113\.9", told.out)
    assert "● established  office  gw.example.net  IKE SA 1" in lines
    assert "  path   192.0.2.10:4500 -> 203.0.113.1:4500  on wlan0" in lines
    assert "  why    wlan0 is the first of your links, and the peer answers there" in lines
    assert "  inner  10.99.0.1" in lines
    assert "  child  10.99.0.1/32 == 10.1.0.0/16  aes128gcm16 in UDP  c0ffee01/c0ffee02" in lines
    assert "         in 1,200 packets (98.4 KiB), out 1,201 packets (98.5 KiB)" in lines


def test_status_of_one_sa_shows_its_pairs(mobike: Run, daemon: Running) -> None:
    for name in ("1", "office"):
        told = mobike("--socket", daemon.socket, "status", name)
        assert told.code == 0
        assert re.search(r"1 +192\.0\.2\.10 +203\.0\.113\.1 +wlan0 +in use +in use", told.out)
        assert re.search(r"2 +198\.51\.100\.20 +203\.0\.113\.1 +wwan0 +ranks behind", told.out)


def test_a_move_that_nobody_has_to_answer_is_not_said_to_be_unanswered(mobike: Run, daemon: Running) -> None:
    house = daemon.house
    house.sas["1"] = replace(house.sas["1"], role="responder", moves=3)
    house.last_moves["1"] = MoveView(BORN, "192.0.2.10:4500", "203.0.113.2:4500", "the peer moved", None)
    assert re.search(
        r"moved +3 times, last \S+ \S+ ago: the peer moved", mobike("--socket", daemon.socket, "status").out
    )
    house.sas["1"] = replace(house.sas["1"], role="initiator", state="updating")
    assert "ago, not answered yet: the peer moved" in mobike("--socket", daemon.socket, "status").out


def test_status_as_json_is_the_same_for_programs(mobike: Run, daemon: Running) -> None:
    shown = json.loads(mobike("--socket", daemon.socket, "status", "-o", "json").out)
    assert shown["health"]["ready"] is True
    assert [connection["name"] for connection in shown["connections"]] == ["office", "lab", "roadwarriors"]
    assert shown["ike_sas"][0]["sa"]["id"] == "1"
    assert shown["total"] == 1
    one = json.loads(mobike("--socket", daemon.socket, "status", "1", "-o", "json").out)
    assert one == shown["ike_sas"][0]


def test_status_of_a_full_gateway_shows_a_few_and_counts_the_rest(mobike: Run, daemon: Running) -> None:
    daemon.house.sas = {f"{number:x}": a_sa(number) for number in range(1, 2501)}
    told = mobike("--socket", daemon.socket, "status", "-n", 2)
    assert told.out.count("IKE SA ") == 2
    assert "2,500 IKE SAs" in told.out
    assert "... and 2,498 more" in told.out
    assert mobike("--socket", daemon.socket, "status", "-n", 0).out.count("● established") == 0


def test_status_says_why_the_daemon_is_not_ready(mobike: Run, daemon: Running) -> None:
    daemon.house.ready = False
    told = mobike("--socket", daemon.socket, "status")
    assert told.code == 0
    assert "not ready" in told.out
    assert "  no local address can be used" in told.out


def test_what_a_peer_calls_itself_cannot_touch_the_terminal(mobike: Run, daemon: Running) -> None:
    evil = "\x1b]0;owned\x07[bold red]gw[/]\u202e\r"
    daemon.house.sas = {"1": replace(a_sa(1), peer_id=evil)}
    told = mobike("--socket", daemon.socket, "status")
    assert "\ufffd]0;owned\ufffd[bold red]gw[/]\ufffd\ufffd" in told.out
    assert not set("\x1b\x07\u202e\r") & set(told.out)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (3725, "1h 2m"), (90_000, "1d 1h"), (86_401, "1d 1s")],
)
def test_spans_of_time_are_short(seconds: float, text: str) -> None:
    assert ago(seconds) == text


# --- orders ----------------------------------------------------------------------------------------------------------


def test_up_waits_until_the_connection_is_up(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "up", "office")
    assert (told.code, told.out) == (0, "office: up, 192.0.2.10:4500 -> 203.0.113.1:4500\n")
    assert daemon.house.orders == ["up office"]


def test_up_says_what_the_connection_failed_of(mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    order = daemon.house.up

    def fails_soon(connection: str) -> None:
        order(connection)
        timer.start()

    def fail() -> None:
        daemon.house.known["lab"] = ConnectionView("lab", "initiator", "down", 0, "the peer refused our key")

    timer = threading.Timer(0.2, fail)
    monkeypatch.setattr(daemon.house, "up", fails_soon)
    told = mobike("--socket", daemon.socket, "up", "lab")
    timer.join()
    assert (told.code, told.err) == (1, "mobike: lab did not come up: the peer refused our key\n")


def test_up_does_not_wait_for_ever(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "up", "lab", "--wait", "0.1")
    assert told.code == 1
    assert "lab is not up after 0.1 s: no answer from 203.0.113.9" in told.err
    assert "the order stands" in told.err
    assert mobike("--socket", daemon.socket, "up", "lab", "--wait", "0").out == "lab: ordered up\n"


def test_down_takes_a_connection_or_one_sa(mobike: Run, daemon: Running) -> None:
    assert mobike("--socket", daemon.socket, "down", "lab").out == "lab: down\n"
    assert mobike("--socket", daemon.socket, "down", "1").out == "1: closed\n"
    told = mobike("--socket", daemon.socket, "down", "office", "--wait", "0.1")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: office still has IKE SAs after 0.1 s")
    assert daemon.house.orders == ["down lab", "close 1", "down office"]


def test_move_says_how_long_it_took(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "move", "1", "--local", "198.51.100.20")
    assert (told.code, told.out) == (0, "1: moved to 198.51.100.20:4500 in 12.5 ms\n")
    told = mobike("--socket", daemon.socket, "move", "office", "--remote", "203.0.113.2", "--wait", "0")
    assert told.out == "1: ordered to move\n"
    assert daemon.house.orders == ["move 1 198.51.100.20 None", "move 1 None 203.0.113.2"]


def test_who_is_there_already_stays_there_and_nobody_waits(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "move", "1", "--local", "192.0.2.10", "--wait", "60")
    assert (told.code, told.out) == (0, "1: is there already, and stays there\n")
    assert daemon.house.orders == ["move 1 192.0.2.10 None"]


def test_away_is_asked_for_in_seconds_and_says_what_is_wrong_with_a_time(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "away", "office", "--for", "1h30m", "--wait", "0")
    assert (told.code, told.out) == (0, "office: asked for leave\n")
    assert daemon.house.orders == ["away office 5400"]
    for wrong, why in (("soon", "'soon' is no time"), ("200ms", "--for must be a second or more")):
        told = mobike("--socket", daemon.socket, "away", "office", "--for", wrong)
        assert (told.code, why in told.err) == (2, True)
    told = mobike("--socket", daemon.socket, "away", "office", "--wait", "0.2")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: the peer has not answered after 0.2 s")
    assert mobike("--socket", daemon.socket, "back", "office").err.startswith("mobike: office is not away\n")
    assert mobike("--socket", daemon.socket, "away", "lab").code == 1


def test_rekey_says_what_is_new(mobike: Run, daemon: Running) -> None:
    before = int(daemon.house.sas["1"].spi_i, 16)
    told = mobike("--socket", daemon.socket, "rekey", "office")
    assert (told.code, told.out) == (0, f"1: new keys; SPI {before + 1:016x}\n")
    told = mobike("--socket", daemon.socket, "rekey", "1", "--children", "--wait", "0.1")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: 1 has its old keys after 0.1 s")
    told = mobike("--socket", daemon.socket, "rekey", "1", "--wait", "0")
    assert told.out == "1: ordered to rekey\n"
    assert daemon.house.orders == ["rekey 1 ike", "rekey 1 children", "rekey 1 ike"]


def test_drain_sends_all_peers_on_until_it_is_lifted(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "drain", "--to", "203.0.113.2", "--to", "2001:db8::2")
    assert told.out == "peers are sent on to 203.0.113.2, 2001:db8::2\n"
    assert mobike("--socket", daemon.socket, "drain", "--lift").out == "peers are served here again\n"
    assert daemon.house.orders == ["drain 203.0.113.2 2001:db8::2", "drain "]
    for wrong in (("drain",), ("drain", "--lift", "--to", "203.0.113.2")):
        assert mobike("--socket", daemon.socket, *wrong).code == 2


def test_reauth_says_what_takes_its_place(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "reauth", "1")
    assert (told.code, told.out) == (0, "10 takes the place of 1\n")
    told = mobike("--socket", daemon.socket, "reauth", "10", "--wait", "0")
    assert told.out == "10: ordered to reauthenticate\n"
    assert daemon.house.orders == ["reauth 1", "reauth 10"]


def test_children_are_opened_and_closed_by_name(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "child", "up", "office", "voice", "--wait", "0")
    assert (told.code, told.out) == (0, "voice: ordered up\n")
    told = mobike("--socket", daemon.socket, "child", "up", "office", "nobody")
    assert (told.code, told.err) == (1, "mobike: no Child SA nobody\n")
    told = mobike("--socket", daemon.socket, "child", "down", "office", "voice")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: 1 has no Child SA 'voice'")
    told = mobike("--socket", daemon.socket, "child", "down", "1", "office", "--wait", "0")
    assert (told.code, told.out) == (0, "office: ordered down\n")
    assert daemon.house.orders == ["open 1 voice", "close 1 1.1"]


def test_explain_says_where_an_sa_is_and_where_it_would_be(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "explain", "office")
    assert told.code == 0
    lines = [line.rstrip() for line in told.out.splitlines()]
    assert lines[0] == "IKE SA 1  stay at 192.0.2.10 -> 203.0.113.1"
    assert lines[1] == "  wlan0 is the first of your links, and the peer answers there"
    assert re.search(r"2 +198\.51\.100\.20 +203\.0\.113\.1 +wwan0 +ranks behind", told.out)
    told = mobike("--socket", daemon.socket, "explain", "1", "--without", "wlan0")
    assert told.out.splitlines()[0].rstrip() == "IKE SA 1  without wlan0: move to 198.51.100.20 -> 203.0.113.1"
    shown = json.loads(mobike("--socket", daemon.socket, "explain", "1", "--without", "wlan0", "-o", "json").out)
    assert shown["decision"] == "move"
    assert daemon.house.orders == []


def test_a_move_is_taken_back_and_a_link_is_avoided_and_no_longer(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "move", "1", "--unpin")
    assert (told.code, told.err) == (1, "mobike: no order to move holds for it\n")
    mobike("--socket", daemon.socket, "move", "1", "--local", "198.51.100.20")
    assert mobike("--socket", daemon.socket, "move", "1", "--unpin").out == "1: policy chooses again\n"
    assert mobike("--socket", daemon.socket, "avoid", "wwan0").out == "wwan0: used where nothing else is left\n"
    assert mobike("--socket", daemon.socket, "avoid", "wwan0", "--lift").out == "wwan0: used as configured\n"
    assert mobike("--socket", daemon.socket, "avoid", "eth9").code == 1
    assert daemon.house.orders[1:] == ["unpin 1", "avoid wwan0", "lift wwan0"]


def test_a_refused_order_is_one_line_and_a_hint(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "move", "1", "--local", "10.0.0.1")
    assert (told.code, told.out) == (1, "")
    assert told.err.splitlines() == [
        "mobike: 10.0.0.1 is no address of ours",
        "        ours are 192.0.2.10, 198.51.100.20",
    ]
    assert mobike("--socket", daemon.socket, "up", "roadwarriors").code == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("status", "nowhere"), "mobike: there is no connection and no IKE SA 'nowhere'"),
        (("status", "lab"), "mobike: lab has no IKE SA"),
        (("up", "nowhere"), "mobike: there is no connection 'nowhere'"),
        (("down", "nowhere"), "mobike: there is no connection and no IKE SA 'nowhere'"),
        (("move", "99", "--local", "192.0.2.10"), "mobike: there is no connection and no IKE SA '99'"),
    ],
)
def test_what_is_not_there_is_named(mobike: Run, daemon: Running, arguments: tuple[str, ...], line: str) -> None:
    told = mobike("--socket", daemon.socket, *arguments)
    assert (told.code, told.err.splitlines()[0]) == (1, line)


def test_a_connection_with_many_sas_is_not_guessed_at(mobike: Run, daemon: Running) -> None:
    daemon.house.sas = {"1": a_sa(1), "2": a_sa(2)}
    told = mobike("--socket", daemon.socket, "move", "office", "--local", "198.51.100.20")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: office has 2 IKE SAs")
    assert daemon.house.orders == []


# --- how the daemon is reached ---------------------------------------------------------------------------------------


def test_over_tcp_the_token_is_read_from_its_file(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    assert mobike("--url", daemon.url, "--token-file", daemon.token_file, "status").code == 0
    (tmp_path / "wrong").write_text("x" * 43)
    told = mobike("--url", daemon.url, "--token-file", tmp_path / "wrong", "status")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: this is no token of the API, or it has expired")
    told = mobike("--url", daemon.url, "--token-file", tmp_path / "absent", "status")
    assert told.code == 2
    assert "cannot read the token" in told.err


def test_the_environment_can_say_which_daemon(mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBIKE_SOCKET", str(daemon.socket))
    assert mobike("status").code == 0


def test_no_daemon_is_exit_code_3(mobike: Run, tmp_path: Path) -> None:
    told = mobike("--socket", tmp_path / "absent.sock", "status")
    assert told.code == 3
    assert told.err.splitlines() == [
        f"mobike: no daemon answers at {tmp_path}/absent.sock: No such file or directory",
        "        start one with 'mobike run --config FILE'",
    ]
    told = mobike("--url", "http://127.0.0.1:1", "--token-file", "/dev/null", "status")
    assert (told.code, told.err.splitlines()[0]) == (
        3,
        "mobike: no daemon answers at http://127.0.0.1:1: Connection refused",
    )
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    assert "Connection refused" in mobike("--socket", tmp_path / "dead.sock", "status").err


def test_something_else_on_the_socket_is_not_taken_for_a_daemon(mobike: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            asked = b""
            while not asked:
                connection, _ = listener.accept()
                with connection:
                    asked = connection.recv(65536)
                    if asked:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

        thread = threading.Thread(target=answer)
        thread.start()
        told = mobike("--socket", path, "status")
        thread.join()
    assert (told.code, told.err) == (3, f"mobike: what answers at {path} is no mobike\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("status", "--output", "xml"),
        ("up",),
        ("move", "1"),
        ("move", "1", "--unpin", "--local", "192.0.2.1"),
        ("avoid",),
        ("up", "office", "--wait", "-1"),
        ("--url", "ftp://x", "--token-file", "/dev/null", "status"),
    ],
)
def test_wrong_usage_is_exit_code_2(mobike: Run, arguments: tuple[str, ...]) -> None:
    told = mobike(*arguments)
    assert told.code == 2
    assert told.err


def test_help_tells_of_every_command_and_the_exit_codes(mobike: Run) -> None:
    told = mobike("--help")
    assert told.code == 0
    for word in (
        "status",
        "up",
        "down",
        "move",
        "reauth",
        "drain",
        "rekey",
        "child",
        "explain",
        "avoid",
        "away",
        "back",
        "check",
        "run",
        "3 when the daemon cannot be reached",
    ):
        assert word in " ".join(told.out.split())


def test_the_version_is_told_in_both_ways_that_people_ask_for_it(mobike: Run) -> None:
    told = mobike("--version")
    assert (told.code, told.out) == (0, mobike("version").out)
    assert told.out.strip()
