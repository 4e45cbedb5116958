"""Certificates in the file: what comes out, and whose fault it is if nothing does."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mobike.config import ConfigError, Connection, Loaded, parse
from tests.auth.pki import NOW, Authority, Owner, named, new_key
from tests.config.judge import Judge

GATEWAY = """\
[connections.gw]
role = "responder"
remote_id = "*"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
"""
LOCAL = 'local_auth = "cert"\nlocal_cert = "own.pem"\nlocal_key = "own.key"\n'
REMOTE = 'remote_auth = "cert"\nremote_ca = ["ca.pem"]\n'
BOTH = GATEWAY + LOCAL + REMOTE
PSK = 'psk = "correct horse battery staple"\n'
CA = Authority.new()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    CA.write(tmp_path / "ca.pem")
    CA.sub("Middle").issue("gw.example.net", "gw@example.net").write(tmp_path, "own")
    return tmp_path


def _read(text: str, folder: Path) -> Loaded:
    return parse(text, Judge(), base=folder, environ={})


def _connection(text: str, folder: Path) -> Connection:
    return _read(text, folder).settings.connections[0]


def _wrong(text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        _read(text, folder)
    return str(caught.value)


def test_both_ends_may_have_certificates_and_then_nobody_needs_a_psk(folder: Path) -> None:
    connection = _connection(BOTH, folder)
    profile, trust = connection.profile, connection.trust
    assert (profile.psk, profile.local_id, profile.remote_certificate) == (b"", "gw.example.net", True)
    assert profile.credential is not None
    assert len(profile.credential.certificates) == 2, "its own and the one above it"
    assert trust is not None
    assert trust.anchors == (CA.certificate,)
    ski = x509.SubjectKeyIdentifier.from_public_key(CA.certificate.public_key())
    assert [len(each) for each in profile.authorities] == [20]
    assert profile.authorities != (ski.digest,), "SHA-1 of all of SubjectPublicKeyInfo, not of its bits alone"
    assert "PRIVATE" not in repr(connection)
    assert profile.credential.key.hex() not in repr(connection)
    assert repr(profile.credential) == "Credential()"


def test_each_end_may_have_its_own_way(folder: Path) -> None:
    signs = _connection(GATEWAY + LOCAL + PSK, folder)
    assert (signs.trust, signs.profile.remote_certificate) == (None, False)
    assert signs.profile.credential is not None
    asks = _connection(GATEWAY + 'local_id = "gw.example.net"\n' + REMOTE + PSK, folder)
    assert asks.trust is not None
    assert (asks.profile.credential, asks.profile.remote_certificate) == (None, True)


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        (BOTH + PSK, 1, "connections.gw", "has a key that nobody uses"),
        (GATEWAY + LOCAL, 1, "connections.gw", "has no key"),
        (GATEWAY + REMOTE + PSK, 1, "connections.gw.local_id", "is missing"),
        (BOTH.replace("local_key", "# "), 1, "connections.gw.local_key", 'is missing; local_auth = "cert" needs it'),
        (BOTH.replace("remote_ca", "# "), 1, "connections.gw.remote_ca", 'is missing; remote_auth = "cert" needs it'),
        (GATEWAY + PSK + 'local_id = "gw"\nlocal_cert = "own.pem"\n', 8, "connections.gw.local_cert", "is used with"),
        (GATEWAY + LOCAL + PSK + 'remote_crl = ["x"]\n', 10, "connections.gw.remote_crl", "is used with"),
        (BOTH.replace("own.pem", "no.pem"), 7, "connections.gw.local_cert", "No such file"),
        (BOTH.replace("own.pem", "own.key"), 7, "connections.gw.local_cert", "holds no certificate in PEM"),
        (BOTH.replace("own.key", "own.pem"), 8, "connections.gw.local_key", "holds no private key in PEM"),
        (BOTH.replace("ca.pem", "own.key"), 10, "connections.gw.remote_ca", "holds no certificate in PEM"),
        (BOTH.replace("ca.pem", "own.pem"), 10, "connections.gw.remote_ca", "is no authority"),
        (BOTH + 'remote_crl = ["ca.pem"]\n', 11, "connections.gw.remote_crl", "holds no revocation list"),
        (BOTH + 'local_ocsp = "ca.pem"\n', 11, "connections.gw.local_ocsp", "holds no OCSP response in DER"),
        (GATEWAY + LOCAL + PSK + 'remote_ocsp = "require"\n', 10, "connections.gw.remote_ocsp", "is used with"),
        (GATEWAY + LOCAL + PSK + "remote_rsa_sha1 = true\n", 10, "connections.gw.remote_rsa_sha1", "is used with"),
        (BOTH + 'authorise = "nowhere:Door"\n', 11, "connections.gw.authorise", "there is no module nowhere"),
        (BOTH + 'authorise = "mobike.auth:Trust"\n', 11, "connections.gw.authorise", "has no method judge"),
        (BOTH + 'authorise_within = "10s"\n', 11, "connections.gw.authorise_within", "at most 9s"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_key(folder: Path, text: str, line: int, key: str, why: str) -> None:
    said = _wrong(text, folder)
    assert said.startswith(f"mobike.toml:{line}: {key}: "), said
    assert why in said


def test_an_end_may_have_a_key_alone(folder: Path) -> None:
    alone = 'local_auth = "key"\nlocal_key = "own.key"\nlocal_id = "gw.example.net"\n'
    profile = _connection(GATEWAY + alone + REMOTE, folder).profile
    assert profile.credential is not None
    assert profile.credential.certificates == ()
    own = x509.load_pem_x509_certificates((folder / "own.pem").read_bytes())[0]
    info = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert profile.credential.raw == info
    assert _connection(BOTH, folder).profile.credential.raw is None  # type: ignore[union-attr]
    assert "local_key: is missing" in _wrong(GATEWAY + alone.replace("local_key", "# ") + REMOTE, folder)
    assert "local_cert: is used with" in _wrong(GATEWAY + alone + 'local_cert = "own.pem"\n' + REMOTE, folder)


def test_a_key_of_another_certificate_is_refused(folder: Path) -> None:
    CA.issue("gw.example.net").write(folder, "other")
    assert "does not belong to the first certificate" in _wrong(BOTH.replace("own.key", "other.key"), folder)


def test_keys_that_cannot_be_used_are_refused(folder: Path) -> None:
    owner = CA.issue("gw.example.net")
    path = folder / "own.key"
    secret = BestAvailableEncryption(b"secret")
    path.write_bytes(owner.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    assert "is encrypted" in _wrong(BOTH, folder)
    for odd in (dsa.generate_private_key(2048), new_key("rsa1024")):
        path.write_bytes(odd.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        assert "is of a kind that is not known here" in _wrong(BOTH, folder)


def test_other_forms_of_private_keys_are_read(folder: Path) -> None:
    for kind in ("p256", "p384", "p521", "rsa2048"):
        owner = CA.issue("gw.example.net", kind=kind)
        owner.write(folder, "own")
        old = owner.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (folder / "own.key").write_bytes(old)
        assert _connection(BOTH, folder).profile.credential is not None


def test_what_is_unwise_is_said_and_taken(folder: Path) -> None:
    (folder / "own.key").chmod(0o644)
    loaded = _read(BOTH.replace('remote_id = "*"', 'remote_id = "*"\nlocal_id = "vpn.example.net"'), folder)
    said = "\n".join(map(str, loaded.warnings))
    assert "own.key can be read by its group and everybody; chmod 600 it" in said
    assert "local_id: vpn.example.net is not in the certificate" in said
    assert loaded.settings.connections[0].profile.local_id == "vpn.example.net"


def test_the_first_name_of_the_certificate_is_ours(folder: Path) -> None:
    CA.issue(subject="gw").write(folder, "own")
    assert _connection(BOTH, folder).profile.local_id == f"id9:{named('gw').public_bytes().hex()}"


def test_revocation_lists_are_read_in_pem_and_der(folder: Path) -> None:
    listed = CA.revocations(CA.issue("old.example.net").certificate)
    for form in (Encoding.PEM, Encoding.DER):
        (folder / "ca.crl").write_bytes(listed.public_bytes(form))
        trust = _connection(BOTH + 'remote_crl = ["ca.crl"]\n', folder).trust
        assert trust is not None
        assert trust.lists == (listed,)
    forged = Authority.new().revocations()
    (folder / "ca.crl").write_bytes(forged.public_bytes(Encoding.PEM))
    assert "was not signed by" in _wrong(BOTH + 'remote_crl = ["ca.crl"]\n', folder)


def test_an_authority_that_has_expired_is_found_out_when_a_peer_comes(folder: Path) -> None:
    """Not when the file is read: that has no time of day."""
    Authority.new("Old", end=-timedelta(days=1)).write(folder / "ca.pem")
    trust = _connection(BOTH, folder).trust
    assert trust is not None
    assert trust.anchors[0].not_valid_after_utc < NOW


def test_many_certificates_of_ours_are_too_many(folder: Path) -> None:
    owner = CA.issue("gw.example.net")
    Owner(owner.key, owner.certificate, (CA.certificate,) * 8).write(folder, "own")
    assert "holds 9 certificates; peers take 8" in _wrong(BOTH, folder)
