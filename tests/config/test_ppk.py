"""Keys besides, and public keys without an authority: what comes out, and whose fault it is if nothing does."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mobike.commands import Ppk
from mobike.config import ConfigError, Loaded, parse
from tests.auth.pki import Authority
from tests.config.judge import Judge

GATEWAY = """\
[connections.gw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
psk = "correct horse battery staple"
"""
LONG = "0x" + "07" * 32
PPK = f'ppk_id = "one"\nppk = "{LONG}"\n'


def _read(text: str, folder: Path, environ: dict[str, str] | None = None) -> Loaded:
    return parse(text, Judge(), base=folder, environ=environ or {})


def test_a_ppk_comes_from_one_of_three_places(tmp_path: Path) -> None:
    (tmp_path / "one.ppk").write_text(LONG + "\n")
    (tmp_path / "one.ppk").chmod(0o600)
    for source in (f'ppk = "{LONG}"', 'ppk_file = "one.ppk"', 'ppk_env = "ONE"'):
        loaded = _read(GATEWAY + f'ppk_id = "one"\n{source}\nppk_required = true\n', tmp_path, {"ONE": LONG})
        assert loaded.settings.connections[0].profile.ppk == Ppk(b"one", b"\x07" * 32, required=True)
        assert loaded.warnings == ()
        assert "\\x07" not in repr(loaded)


def test_a_short_ppk_is_warned_of(tmp_path: Path) -> None:
    (warning,) = _read(GATEWAY + 'ppk_id = "one"\nppk = "short"\n', tmp_path).warnings
    assert "RFC 8784 wants 32" in warning.message


def test_a_peer_may_be_known_by_its_public_key(tmp_path: Path) -> None:
    owner = Authority.new().issue("peer.example.net")
    public = owner.key.public_key()
    (tmp_path / "peer.pub").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (connection,) = _read(GATEWAY + 'remote_auth = "key"\nremote_keys = ["peer.pub"]\n', tmp_path).settings.connections
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert connection.profile.remote_keys == (info,)
    assert not connection.profile.remote_certificate


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('ppk_id = "one"\n', "exactly one of ppk, ppk_file, ppk_env"),
        (f'ppk = "{LONG}"\n', "give both"),
        (PPK + 'ppk_env = "X"\n', "exactly one of"),
        ("ppk_required = true\n", "needs a PPK"),
        ('remote_auth = "key"\n', 'goes with remote_auth = "key"'),
        ('remote_keys = ["x"]\n', 'goes with remote_auth = "key"'),
        ('remote_auth = "key"\nremote_keys = ["bad"]\n', "holds no public key in PEM"),
    ],
)
def test_what_contradicts_is_named(tmp_path: Path, more: str, message: str) -> None:
    (tmp_path / "bad").write_text("nothing")
    with pytest.raises(ConfigError, match=message):
        _read(GATEWAY + more, tmp_path)
