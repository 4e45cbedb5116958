"""EAP in the file: what comes out, and whose fault it is if nothing does."""

from pathlib import Path

import pytest

from mobike.auth.eap import ClientOrders, ServerOrders
from mobike.auth.eap.packet import MSCHAPV2, TLS
from mobike.config import ConfigError, Loaded, parse
from tests.auth.pki import Authority
from tests.config.judge import Judge

GATEWAY = """\
[connections.gw]
role = "responder"
remote_id = "*"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
local_auth = "cert"
local_cert = "own.pem"
local_key = "own.key"
remote_auth = "eap"
eap_users = "users.toml"
"""
CLIENT = """\
[connections.out]
role = "initiator"
remote = ["192.0.2.1"]
remote_id = "gw.example.net"
virtual_ip = ["ipv4"]
local_id = "ann@example.net"
local_auth = "eap"
eap_password = "her password"
remote_auth = "cert"
remote_ca = ["ca.pem"]
"""
CA = Authority.new()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    CA.write(tmp_path / "ca.pem")
    CA.issue("gw.example.net").write(tmp_path, "own")
    users = tmp_path / "users.toml"
    users.touch(mode=0o600)
    users.write_text('"ann@example.net" = "her password"\nbob = "his"\n')
    return tmp_path


def _read(text: str, folder: Path, environ: dict[str, str] | None = None) -> Loaded:
    return parse(text, Judge(), base=folder, environ=environ or {})


def test_a_gateway_knows_its_users(folder: Path) -> None:
    loaded = _read(GATEWAY, folder)
    (connection,) = loaded.settings.connections
    passwords = {"ann@example.net": "her password", "bob": "his"}
    assert connection.eap == ServerOrders("gw.example.net", (MSCHAPV2,), passwords)
    assert (connection.profile.local_eap, connection.profile.remote_eap) == (False, True)
    assert connection.profile.credential is not None
    assert loaded.warnings == ()
    assert "her password" not in repr(loaded)


def test_a_client_has_a_name_and_a_password(folder: Path) -> None:
    (connection,) = _read(CLIENT, folder).settings.connections
    assert connection.eap == ClientOrders("ann@example.net", (MSCHAPV2,), "her password")
    assert (connection.profile.local_eap, connection.profile.remote_eap) == (True, False)
    (folder / "pw").write_text("from a file\n")
    (folder / "pw").chmod(0o600)
    named = CLIENT.replace('eap_password = "her password"', 'eap_password_file = "pw"\neap_identity = "ann"')
    assert _read(named, folder).settings.connections[0].eap == ClientOrders("ann", (MSCHAPV2,), "from a file")
    by_environ = CLIENT.replace('eap_password = "her password"', 'eap_password_env = "PW"')
    (connection,) = _read(by_environ, folder, {"PW": "secret"}).settings.connections
    assert connection.eap == ClientOrders("ann@example.net", (MSCHAPV2,), "secret")


def test_certificates_may_be_shown_inside_of_eap(folder: Path) -> None:
    text = GATEWAY.replace('eap_users = "users.toml"', 'eap = ["tls"]\nremote_ca = ["ca.pem"]')
    for local, alone in (("cert", False), ("eap", True)):
        (connection,) = _read(
            text.replace('local_auth = "cert"', f'local_auth = "{local}"'), folder
        ).settings.connections
        assert isinstance(connection.eap, ServerOrders)
        assert connection.eap.methods == (TLS,)
        assert connection.eap.tls is not None
        assert (connection.profile.local_eap, connection.profile.remote_eap) == (alone, True)
        assert not connection.profile.remote_certificate
    text = CLIENT.replace(
        'eap_password = "her password"', 'eap = ["tls"]\nlocal_cert = "own.pem"\nlocal_key = "own.key"'
    )
    for remote in ("cert", "eap"):
        changed = text.replace('remote_auth = "cert"', f'remote_auth = "{remote}"')
        (connection,) = _read(changed, folder).settings.connections
        assert isinstance(connection.eap, ClientOrders)
        assert connection.eap.tls is not None
        assert connection.profile.remote_certificate == (remote == "cert")
        assert connection.profile.remote_eap == (remote == "eap")


def test_a_file_that_others_can_read_is_warned_of(folder: Path) -> None:
    (folder / "users.toml").chmod(0o644)
    (warning,) = _read(GATEWAY, folder).warnings
    assert "chmod 600" in warning.message


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (GATEWAY.replace("eap_users", "# "), "gw.eap_users", "is missing; mschapv2 needs the passwords of the peers"),
        (GATEWAY.replace("users.toml", "none"), "gw.eap_users", "cannot read"),
        (GATEWAY.replace('local_auth = "cert"', 'local_auth = "eap"'), "gw.local_auth", "prove both ends"),
        (GATEWAY + 'eap_password = "x"\n', "gw.eap_password", "is used by an initiator"),
        (GATEWAY + 'eap_identity = "x"\n', "gw.eap_identity", "is used by an initiator"),
        (GATEWAY + 'eap = ["gtc"]\n', "gw.eap", "mschapv2"),
        (CLIENT.replace("eap_password", "# "), "out.eap", "needs exactly one of"),
        (GATEWAY + 'eap = ["tls"]\n', "gw.remote_ca", 'is missing; eap = ["tls"] needs it'),
        (CLIENT + 'eap = ["tls"]\n', "out.local_cert", 'is missing; eap = ["tls"] needs it'),
        (GATEWAY + 'eap = ["radius"]\n', "gw.radius", "the servers to ask"),
        (GATEWAY + 'eap = ["radius", "tls"]\n', "gw.eap", "alone"),
        (GATEWAY + '[[connections.gw.radius]]\nserver = "192.0.2.5"\n', "gw.radius", "secret"),
        (CLIENT + 'eap_password_env = "PW"\n', "out.eap", "needs exactly one of"),
        (CLIENT.replace('eap_password = "her password"', 'eap_password_env = "PW"'), "out.eap_password", "'PW'"),
        (CLIENT + 'eap_users = "users.toml"\n', "out.eap_users", "is used by a responder"),
        (CLIENT.replace('"cert"', '"eap"').replace("remote_ca", "# "), "out.remote_auth", "prove both ends"),
        (
            CLIENT.replace('local_auth = "eap"', 'local_auth = "psk"\npsk = "correct horse battery staple"'),
            "out.eap_password",
            "is used by an initiator",
        ),
    ],
)
def test_what_contradicts_is_named(folder: Path, text: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(text, folder)
    problems = [f"{each.key}: {each.message}" for each in caught.value.problems]
    assert any(each.startswith(f"connections.{key}") and message in each for each in problems), problems
    assert "her password" not in str(caught.value)


@pytest.mark.parametrize("content", ['"ann" = ', "ann = 7", 'ann = ""', f'"{"a" * 256}" = "x"'])
def test_a_file_of_users_that_cannot_be_used_is_refused_and_no_password_is_shown(folder: Path, content: str) -> None:
    (folder / "users.toml").write_text(f'bob = "secret"\n{content}\n')
    with pytest.raises(ConfigError) as caught:
        _read(GATEWAY, folder)
    assert "users.toml" in str(caught.value)
    assert "secret" not in str(caught.value)
