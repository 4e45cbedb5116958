"""Commands about one IKE SA, one address, or the caller: what each orders and says."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run, Running


def test_a_peer_that_answers_a_probe_is_told_with_its_round_trip(
    mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.house.tell("probe-answered", "an earlier one", sa="1")
    probe = daemon.house.probe

    def answered(sa: str) -> None:
        probe(sa)
        daemon.house.tell("moved", "something else", sa="1")
        daemon.house.tell("probe-answered", "of another", sa="2")
        daemon.house.tell("probe-answered", "The peer answers", sa="1", data={"rtt_ms": 12.54})

    monkeypatch.setattr(daemon.house, "probe", answered)
    told = mobike("--socket", daemon.socket, "probe", "office")
    assert (told.code, told.out, told.err) == (0, "1: answered in 12.5 ms\n", "")


def test_a_peer_that_is_silent_is_told_with_what_to_look_at(
    mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon.house, "probe", lambda sa: daemon.house.tell("path-silent", "nothing comes back", sa=sa))
    told = mobike("--socket", daemon.socket, "probe", "1")
    assert (told.code, told.out) == (1, "")
    assert "1: no answer (path-silent)" in told.err
    assert "mobike explain 1" in told.err


def test_an_answer_is_not_waited_for_without_end(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "probe", "1", "--wait", "0.1")
    assert told.code == 1
    assert "nothing is known after 0.1 s" in told.err
    assert mobike("--socket", daemon.socket, "probe", "1", "--wait", "0").out == "1: asked\n"
    assert daemon.house.orders == ["probe 1", "probe 1"]


def test_an_ike_sa_is_pinned_and_let_go(mobike: Run, daemon: Running) -> None:
    assert mobike("--socket", daemon.socket, "pin", "office").out == "1: stays where it is\n"
    refused = mobike("--socket", daemon.socket, "pin", "office", "--lift")
    assert (refused.code, refused.err) == (1, "mobike: no order to move holds for it\n")
    assert mobike("--socket", daemon.socket, "move", "1", "--local", "198.51.100.20", "--wait", "0").code == 0
    assert mobike("--socket", daemon.socket, "pin", "office", "--lift").out == "1: policy chooses again\n"
    assert [daemon.house.orders[0], daemon.house.orders[-1]] == ["pin 1", "unpin 1"]


def test_one_peer_is_sent_on(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "redirect", "1", "--to", "192.0.2.99", "--to", "2001:db8::99")
    assert told.out == "1: its peer is sent on to 192.0.2.99, 2001:db8::99, and has a minute\n"
    assert daemon.house.orders == ["redirect 1 192.0.2.99 2001:db8::99"]


def test_an_address_goes_and_comes_back(mobike: Run, daemon: Running) -> None:
    ip = next(iter(daemon.house.local))
    assert mobike("--socket", daemon.socket, "address", ip, "--gone").out == f"{ip}: gone\n"
    assert not daemon.house.local[ip].available
    assert mobike("--socket", daemon.socket, "address", ip, "--back").out == f"{ip}: back\n"
    assert daemon.house.local[ip].available
    assert mobike("--socket", daemon.socket, "address", ip).code == 2, "which of both must be said"


def test_a_caller_hears_who_it_is(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    assert mobike("--socket", daemon.socket, "caller").out.endswith(": admin\n")
    token = mobike("--socket", daemon.socket, "token", "create", "grafana", "--scope", "metrics").out
    (tmp_path / "token").write_text(token.splitlines()[0])
    told = mobike("--url", daemon.url, "--token-file", tmp_path / "token", "caller", "-o", "yaml")
    assert 'scope: "metrics"' in told.out
    assert "grafana" in told.out


def test_the_configuration_in_force_is_told(mobike: Run, daemon: Running) -> None:
    assert mobike("--socket", daemon.socket, "config", "apply", "--confirm-in", "60s").code == 0
    told = mobike("--socket", daemon.socket, "config", "state")
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0].startswith("revision 2, in force since ")
    assert "unless 'mobike config confirm' comes first" in lines[-1]
