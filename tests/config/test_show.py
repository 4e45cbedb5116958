"""`config show`: what is obeyed, where it comes from, and no secret in it."""

from pathlib import Path

import pytest

from mobike.config import Loaded, load, parse
from mobike.config.octets import format_octets, parse_octets
from mobike.config.show import MASK, as_toml, shown
from tests.config.judge import Judge

KEY = "correct horse battery staple"
TEXT = f"""\
[daemon]
shards = 2

[connections.office]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
psk = "{KEY}"
virtual_ip = ["ipv4"]
esp_lifetime_bytes = "500GB"
search.first = "300ms"
[[connections.office.child]]
name = "voice"
remote_ts = ["10.1.9.0/24[udp/5060]"]
"""


def _origins(loaded: Loaded) -> dict[str, tuple[object, str]]:
    return {str(each.as_json()["key"]): (each.value, each.origin) for each in shown(loaded)}


def test_each_key_is_shown_with_its_value_and_its_origin() -> None:
    keys = _origins(parse(TEXT, Judge(), environ={}))
    assert keys["daemon.shards"] == (2, "mobike.toml:2")
    assert keys["daemon.ike_port"] == (500, "default")
    assert keys["connections.office.liveness"] == ("30s", "default")
    assert keys["connections.office.search.first"] == ("300ms", "mobike.toml:12")
    assert keys["connections.office.child[0].name"] == ("voice", "mobike.toml:14")
    assert keys["connections.office.esp_lifetime_hard"] == ("1h6m", "follows from others")
    assert keys["connections.office.esp_lifetime_bytes_hard"] == ("550GB", "follows from others")


def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "mobike.toml").write_text(TEXT)
    gateway = '[connections.gw]\nrole = "responder"\nlocal_auth = "psk"\nremote_auth = "eap"\nremote_id = "*"\n'
    gateway += f'local_id = "gw"\npsk = "{KEY}"\nlocal_ts = ["10.1.0.0/16"]\neap = ["radius"]\n'
    gateway += f'[[connections.gw.radius]]\nserver = "192.0.2.5"\nsecret = "{KEY}"\n'
    (tmp_path / "conf.d/gw.toml").write_text(gateway)
    loaded = load(tmp_path, Judge(), environ={})
    text = "\n".join(as_toml(shown(loaded)))
    assert KEY not in text
    assert text.count(MASK) == 3
    assert _origins(loaded)["connections.gw.radius[0].secret"] == (MASK, f"{tmp_path}/conf.d/gw.toml:12")


def test_what_is_shown_of_what_is_written_is_a_configuration_that_says_the_same() -> None:
    loaded = parse(TEXT, Judge(), environ={})
    written = as_toml(each for each in shown(loaded) if each.place is not None)
    again = parse("\n".join(written).replace(MASK, KEY), Judge(), environ={})
    assert again.settings.daemon == loaded.settings.daemon
    assert again.settings.limits == loaded.settings.limits
    assert again.settings.connections[0].profile == loaded.settings.connections[0].profile
    assert {key: value for key, (value, _) in _origins(again).items()} == {
        key: value for key, (value, _) in _origins(loaded).items()
    }


@pytest.mark.parametrize("text", ["0", "1B", "500GB", "2GiB", "1TiB", "999999999TiB", "1025KiB"])
def test_an_amount_survives_being_written_and_read(text: str) -> None:
    assert parse_octets(format_octets(parse_octets(text))) == parse_octets(text)
