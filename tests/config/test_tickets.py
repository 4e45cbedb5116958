"""Tickets (RFC 5723): what the file says of them, and what it cannot say."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mobike.config import ConfigError, parse
from tests.auth.pki import Authority, Owner
from tests.config.judge import Judge
from tests.config.test_redirects import CLIENT, GATEWAY

HOUR = 3600 * 1_000_000_000


def test_without_a_word_there_are_no_tickets() -> None:
    settings = parse(CLIENT + GATEWAY, Judge()).settings
    client, gateway = settings.connections
    assert not client.profile.resume
    assert gateway.profile.ticket_lifetime == 0
    assert settings.ticket_keys == ()


def test_who_gives_tickets_and_who_uses_them() -> None:
    client, gateway = parse(CLIENT + "resume = true\n" + GATEWAY + 'tickets = "1h"\n', Judge()).settings.connections
    assert client.profile.resume
    assert gateway.profile.ticket_lifetime == HOUR


def test_keys_that_several_gateways_share(tmp_path: Path) -> None:
    file = tmp_path / "tickets.key"
    file.touch(mode=0o600)
    file.write_text("11" * 32 + "\n" + "22" * 32 + "\n")
    settings = parse(f'[tickets]\nkey_file = "tickets.key"\n{GATEWAY}', Judge(), base=tmp_path).settings
    assert settings.ticket_keys == (b"\x11" * 32, b"\x22" * 32)
    assert "11" * 16 not in repr(settings)


@pytest.mark.parametrize("text", ["", "11" * 31, "11" * 33, "no key", ("11" * 32 + "\n") * 5])
def test_what_is_no_key_is_told_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tickets.key"
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(ConfigError) as problem:
        parse(f'[tickets]\nkey_file = "tickets.key"\n{GATEWAY}', Judge(), base=tmp_path)
    assert "tickets.key_file" in str(problem.value)
    assert "1111" not in str(problem.value)


def test_a_key_that_others_can_read_or_nobody_wrote_is_none(tmp_path: Path) -> None:
    text = f'[tickets]\nkey_file = "tickets.key"\n{GATEWAY}'
    with pytest.raises(ConfigError):
        parse(text, Judge(), base=tmp_path)
    (tmp_path / "tickets.key").write_text("11" * 32)
    (tmp_path / "tickets.key").chmod(0o644)
    with pytest.raises(ConfigError) as problem:
        parse(text, Judge(), base=tmp_path)
    assert "chmod 600" in str(problem.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (CLIENT + 'tickets = "1h"\n', "connections.office.tickets"),
        (GATEWAY + "resume = true\n", "connections.road.resume"),
        (GATEWAY + 'tickets = "8d"\n', "connections.road.tickets"),
        (
            GATEWAY
            + 'remote_auth = "eap"\neap = ["radius"]\ntickets = "1h"\n'
            + '[[connections.road.radius]]\nserver = "192.0.2.9"\nsecret = "correct horse"\n',
            "connections.road.tickets",
        ),
    ],
)
def test_what_contradicts_is_told_by_its_key(text: str, key: str) -> None:
    with pytest.raises(ConfigError) as problem:
        parse(text, Judge())
    assert key in str(problem.value)


def test_tickets_rest_on_all_that_peers_are_believed_by(tmp_path: Path) -> None:
    """A key, an authority, a certificate revoked, a user gone: tickets that were given before are good no more."""
    ca, other = Authority.new(), Authority.new("Another CA")
    gateway = ca.issue("gw.example.net")
    gateway.write(tmp_path, "own")
    peer = ca.issue("ann@example.net")

    def basis(more: str, proof: str = 'psk = "correct horse battery"\n') -> bytes:
        head = GATEWAY.replace('psk = "correct horse"\n', proof) + 'tickets = "1h"\n'
        return parse(head + more, Judge(), base=tmp_path, environ={}).settings.connections[0].profile.tickets_rest_on

    def trusting(*anchors: Authority, revoked: Sequence[Owner] | None = None, ocsp: str = "if-given") -> bytes:
        (tmp_path / "ca.pem").write_bytes(b"".join(each.certificate.public_bytes(Encoding.PEM) for each in anchors))
        proof = 'local_auth = "cert"\nlocal_cert = "own.pem"\nlocal_key = "own.key"\nremote_auth = "cert"\n'
        more = f'remote_ca = ["ca.pem"]\nremote_ocsp = "{ocsp}"\n'
        if revoked is not None:
            listed = ca.revocations(*(each.certificate for each in revoked))
            (tmp_path / "ca.crl").write_bytes(listed.public_bytes(Encoding.PEM))
            more += 'remote_crl = ["ca.crl"]\n'
        return basis(more, proof)

    def users(lines: str) -> bytes:
        (tmp_path / "users.toml").write_text(lines)
        (tmp_path / "users.toml").chmod(0o600)
        proof = 'psk = "correct horse battery"\nremote_auth = "eap"\neap = ["mschapv2"]\n'
        return basis('eap_users = "users.toml"\n', proof)

    names = [
        basis(""),
        basis("", 'psk = "another horse battery"\n'),
        basis('ppk_id = "p"\nppk = "0x' + "11" * 32 + '"\n'),
        trusting(ca),
        trusting(ca, other),
        trusting(ca, revoked=[]),
        trusting(ca, revoked=[peer]),
        trusting(ca, ocsp="require"),
        users('"ann" = "her password"\n"bob" = "his password"\n'),
        users('"ann" = "her password"\n'),
        users('"ann" = "another password"\n'),
    ]
    assert len(set(names)) == len(names)
    assert {len(each) for each in names} == {16}
    # What says the same again changes nothing; nor does what is no proof.
    assert trusting(ca, revoked=[peer]) == names[6], "issued again"
    assert trusting(other, ca) == names[4]
    assert basis('dns = ["10.1.0.53"]\n') == names[0]
    assert parse(GATEWAY, Judge()).settings.connections[0].profile.tickets_rest_on == b""
