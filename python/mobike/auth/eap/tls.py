"""EAP-TLS, both roles (RFC 5216; RFC 9190 for TLS 1.3): a TLS handshake in pieces, of which only the key is kept.

    | flags: L(0x80) M(0x40) S(0x20) | whole length (4, if L) | TLS records ...

TLS is OpenSSL's, with memory in place of a socket; chance is its own. Whether a certificate is good, our own `chain`
says, once the handshake has shown that the peer holds its key: TLS itself believes any.
"""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509

from mobike.auth.chain import MAX_CERTIFICATES, Refused, validate
from mobike.auth.eap.packet import TLS
from mobike.auth.eap.steps import Lost, Say, Step, TlsOrders, Won
from mobike.auth.names import peer_name
from mobike.commands import Credential
from mobike.events import Role

LENGTH: Final = 0x80
MORE: Final = 0x40
START: Final = 0x20

PIECE: Final = 1024
"""Octets of TLS in one packet: with IKE and IPv6 around it fits every link."""
LONGEST_FLIGHT: Final = 64 << 10
"""Octets that a peer may say before we answer; its certificates are most of it."""

OLDEST: Final = SSL.TLS1_2_VERSION
NEWEST = SSL.TLS1_3_VERSION

_LEGACY_SERVER_CONNECT: Final = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT, which the library does not name."""

_LABEL_12: Final = b"client EAP encryption"
_LABEL_13: Final = b"EXPORTER_EAP_TLS_Key_Material"
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL"


class _End:
    """What both roles do alike."""

    number = TLS

    def __init__(self, orders: TlsOrders, *, server: bool) -> None:
        self._orders = orders
        self._role = Role.RESPONDER if server else Role.INITIATOR
        self._tls = _connection(orders.credential, server=server)
        self._inbound = b""
        self._outbound = b""
        self._said_length = False
        self.done = False

    def _take(self, data: bytes) -> bytes | Lost | None:
        """The whole flight, None if more of it is to come."""
        if not data:
            return Lost("peer's EAP-TLS packet has no flags")
        body = data[5:] if data[0] & LENGTH else data[1:]
        if (data[0] & LENGTH and len(data) < 5) or len(self._inbound) + len(body) > LONGEST_FLIGHT:
            return Lost("peer's EAP-TLS packet is cut short, or too long with those before it")
        self._inbound += body
        if data[0] & MORE:
            return None
        whole, self._inbound = self._inbound, b""
        return whole

    def _feed(self, flight: bytes) -> str | None:
        """Let TLS read it; why it does not want to."""
        if flight:
            self._tls.bio_write(flight)
        problem = None
        try:
            if not self.done:
                self._tls.do_handshake()
                self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            problem = _reason(error)
        self._collect()
        return problem

    def _collect(self) -> None:
        while True:
            try:
                self._outbound += self._tls.bio_read(1 << 15)
            except SSL.WantReadError:
                return

    def _piece(self) -> Say:
        """The next piece of what is to be said."""
        first = not self._said_length
        piece, whole = self._outbound[:PIECE], len(self._outbound)
        self._outbound = self._outbound[PIECE:]
        more = bool(self._outbound)
        flags = (MORE if more else 0) | (LENGTH if first and more else 0)
        length = whole.to_bytes(4, "big") if flags & LENGTH else b""
        self._said_length = more
        return Say(bytes([flags]) + length + piece)

    def _key(self) -> bytes:
        if self._tls.get_protocol_version_name() == "TLSv1.3":
            return self._tls.export_keying_material(_LABEL_13, 64, bytes([TLS]))
        return self._tls.export_keying_material(_LABEL_12, 64, None)

    def _judge(self, name: str, at: datetime) -> None:
        """Is the peer's certificate good, and of that name? Raises Refused."""
        own = self._tls.get_peer_certificate(as_cryptography=True)
        if not isinstance(own, x509.Certificate):
            raise Refused("peer shows no certificate in TLS")
        others = self._tls.get_peer_cert_chain(as_cryptography=True) or []
        shown = [each.public_bytes(Encoding.DER) for each in others]
        first = own.public_bytes(Encoding.DER)
        chain = [first, *(each for each in shown if each != first)][:MAX_CERTIFICATES]
        validate(self._orders.trust, peer_name(name), chain, self._role, at)


class Server(_End):
    """The gateway's side. `user` is who the peer says it is; its certificate must say so too."""

    def __init__(self, orders: TlsOrders, user: str, at: datetime) -> None:
        super().__init__(orders, server=True)
        self._user = user
        self._at = at
        self._judged = False

    def hear(self, data: bytes | None) -> Step:
        """What the peer said."""
        if data is None:
            return Say(bytes([START]))
        flight = self._take(data)
        if isinstance(flight, Lost):
            return flight
        if flight is None:
            return Say(b"\0")
        if not flight and self._judged and not self._outbound:
            return Won(self._key(), self._user)
        return (self._advance(flight) if flight else None) or self._piece()

    def _advance(self, flight: bytes) -> Lost | None:
        problem = self._feed(flight)
        if problem is not None:
            return Lost(f"TLS with {self._user[:253]!r} failed: {problem}")
        if self.done and not self._judged:
            try:
                self._judge(self._user, self._at)
            except Refused as refused:
                return Lost(str(refused))
            self._judged = True
            if self._tls.get_protocol_version_name() == "TLSv1.3":
                # The protected word that nothing more comes (RFC 9190 section 2.5).
                self._tls.send(b"\0")
                self._collect()
        return None


class Client(_End):
    """The client's side. `gateway` is who must be there."""

    def __init__(self, orders: TlsOrders, gateway: str, at: datetime) -> None:
        super().__init__(orders, server=False)
        self._gateway = gateway
        self._at = at
        self._won: Won | None = None
        self.reason: str | None = None

    def hear(self, data: bytes | None) -> Step:
        """What the gateway said."""
        flight = self._take(data or b"")
        if isinstance(flight, Lost):
            return Lost(flight.why.replace("peer's", "the gateway's"))
        if flight is None:
            return Say(b"\0")
        # The first packet is empty, and tells us to begin.
        pieces_left = bool(self._outbound) and not flight
        return (None if pieces_left else self._advance(flight)) or self._piece()

    def _advance(self, flight: bytes) -> Lost | None:
        was_done = self.done
        problem = self._feed(flight)
        if problem is not None:
            return Lost(f"TLS with the gateway failed: {problem}")
        if self.done and not was_done:
            try:
                self._judge(self._gateway, self._at)
            except Refused as refused:
                return Lost(str(refused))
        if self.done and not self._outbound and self._is_over():
            self._won = Won(self._key())
        return None

    def ended(self) -> Won | None:
        """Only after the handshake is over and the gateway's certificate is good."""
        return self._won

    def _is_over(self) -> bool:
        if self._tls.get_protocol_version_name() != "TLSv1.3":
            return True
        try:
            return self._tls.recv(1) == b"\0"
        except SSL.Error:
            return False


def _connection(credential: Credential, *, server: bool) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(OLDEST)
    context.set_max_proto_version(NEWEST)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    if not server:
        # Some gateways' TLS knows nothing of RFC 5746. That is about renegotiation, and nobody renegotiates here.
        context.set_options(_LEGACY_SERVER_CONNECT)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _any)
    key = load_der_private_key(credential.key, None)
    context.use_privatekey(key)  # type: ignore[arg-type]
    first, *others = (x509.load_der_x509_certificate(each) for each in credential.certificates)
    context.use_certificate(first)
    for other in others:
        context.add_extra_chain_cert(other)
    connection = SSL.Connection(context, None)
    if server:
        connection.set_accept_state()
    else:
        connection.set_connect_state()
    return connection


def _any(connection: SSL.Connection, certificate: X509, error: int, depth: int, good: int) -> bool:
    """Judged later, by rules of our own."""
    del connection, certificate, error, depth, good
    return True


def _reason(error: SSL.Error) -> str:
    """The last of the library's words for it."""
    if error.args and isinstance(error.args[0], list) and error.args[0]:
        return str(error.args[0][-1][-1])[:120]
    return type(error).__name__
