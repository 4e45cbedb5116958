"""EAP-TLS: both ends against each other, in small pieces, with good and bad certificates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from mobike.auth.eap import tls
from mobike.auth.eap.steps import Lost, Say, TlsOrders, Won
from mobike.auth.eap.tls import MORE, PIECE, START, Client, Server
from mobike.auth.trust import Trust
from mobike.commands import Credential
from tests.auth.pki import NOW, Authority, Owner

CA = Authority.new()
GATEWAY = "gw.example.net"
USER = "ann@example.net"


def _orders(owner: Owner, authority: Authority = CA) -> TlsOrders:
    key = owner.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return TlsOrders(Credential(key, owner.der), Trust((authority.certificate,)))


def _talk(server: Server, client: Client) -> tuple[Won | Lost | None, Won | Lost | None, list[bytes]]:
    """How it ends for both: client, server, and what was said."""
    said: list[bytes] = []
    step = server.hear(None)
    for _ in range(100):
        if not isinstance(step, Say):
            return client.ended(), step, said
        said.append(step.data)
        answer = client.hear(step.data)
        if not isinstance(answer, Say):
            return answer, None, said
        said.append(answer.data)
        step = server.hear(answer.data)
    raise AssertionError("it does not end")


def _ends(client: Owner | None = None, gateway: Owner | None = None) -> tuple[Server, Client]:
    ours = _orders(gateway or CA.issue(GATEWAY))
    theirs = _orders(client or CA.issue(USER))
    return Server(ours, USER, NOW), Client(theirs, GATEWAY, NOW)


@pytest.mark.parametrize("newest", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("kind", ["p256", "rsa2048", "ed25519"])
def test_both_ends_have_the_same_key(newest: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if newest == "TLSv1.2":
        monkeypatch.setattr(tls, "NEWEST", SSL.TLS1_2_VERSION)
    server, client = _ends(CA.issue(USER, kind=kind), CA.issue(GATEWAY, kind=kind))
    ours, theirs, said = _talk(server, client)
    assert isinstance(ours, Won)
    assert isinstance(theirs, Won)
    assert ours.key == theirs.key
    assert ours.key is not None
    assert len(ours.key) == 64
    assert theirs.user == USER
    assert server._tls.get_protocol_version_name() == newest
    assert said[0] == bytes([START])
    assert max(map(len, said)) <= PIECE + 5


def test_long_chains_go_in_pieces() -> None:
    low = CA.sub("Upper", kind="rsa2048").sub("Lower", kind="rsa2048")
    server, client = _ends(low.issue(USER, kind="rsa2048"), low.issue(GATEWAY, kind="rsa2048"))
    ours, theirs, said = _talk(server, client)
    assert isinstance(ours, Won)
    assert isinstance(theirs, Won)
    assert sum(bool(each[0] & MORE) for each in said) >= 4


def test_a_certificate_of_somebody_else_does_not_do() -> None:
    other = Authority.new()
    for client, why in (
        (CA.issue("eve@example.net"), "does not say so"),
        (other.issue(USER), "no authority that we trust"),
        (CA.issue(USER, end=timedelta(days=-1)), "has expired"),
    ):
        server, peer = _ends(client)
        _, theirs, _ = _talk(server, peer)
        assert isinstance(theirs, Lost)
        assert why in theirs.why or "was not signed by" in theirs.why


def test_a_client_leaves_a_gateway_of_another_name_or_authority() -> None:
    for gateway in (CA.issue("other.example.net"), Authority.new().issue(GATEWAY)):
        server, client = _ends(gateway=gateway)
        ours, _, _ = _talk(server, client)
        assert isinstance(ours, Lost)
        assert client.ended() is None


def test_a_client_without_certificate_is_refused() -> None:
    server, client = _ends()
    context = SSL.Context(SSL.TLS_METHOD)
    client._tls = SSL.Connection(context, None)
    client._tls.set_connect_state()
    _, theirs, _ = _talk(server, client)
    assert isinstance(theirs, Lost)
    assert "failed" in theirs.why


@pytest.mark.parametrize(
    "data", [b"", b"\x80\0\0", b"\0nonsense", b"\0\x16\x03\x01\xff\xff", bytes([0x80, 0, 0, 0, 5]) + b"\x15\x03\x01"]
)
def test_nonsense_ends_it(data: bytes) -> None:
    server, client = _ends()
    server.hear(None)
    steps = [server.hear(data) for _ in range(3)]
    assert not any(isinstance(step, Won) for step in steps)
    assert client.ended() is None


def test_a_flight_is_limited() -> None:
    server, _ = _ends()
    server.hear(None)
    step: object = None
    for _ in range(100):
        step = server.hear(bytes([MORE]) + bytes(PIECE))
        if isinstance(step, Lost):
            break
    assert isinstance(step, Lost)


def test_keys_are_not_shown() -> None:
    orders = _orders(CA.issue(GATEWAY))
    assert repr(orders.credential.key) not in repr(orders)
