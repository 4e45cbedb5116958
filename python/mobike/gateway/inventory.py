"""What connections rest on, out of the configuration in force: pools, certificates, and who decides about their SAs."""

from collections.abc import Callable, Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mobike.auth.names import name_of
from mobike.auth.trust import TrustError
from mobike.commands import Pool
from mobike.config import Settings
from mobike.config.settings import Connection, TlsSettings
from mobike.config.terms import Term, Use, in_force, known_of, terms_of_api
from mobike.events import Role
from mobike.facade.inventory import CertificateView, ExpiryView, LinkRuleView, PolicyView, PoolView, RangeView
from mobike.policy.choose import OrderedPolicy

_NANOS: Final = 1e9


class Stock:
    """Implements `mobike.facade.inventory.Inventory`."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        """`settings`: those in force."""
        self._in_force = settings
        self._api = _read_once(settings().api.tls)
        self._of: Settings | None = None
        self._terms: tuple[Term, ...] = ()

    def pools(self) -> tuple[PoolView, ...]:
        """Those with a name first: several connections may lease from one."""
        named: dict[str, list[Connection]] = {}
        alone = []
        for each in self._in_force().connections:
            if not each.profile.pools:
                continue
            if each.profile.pool_name is None:
                alone.append(each)
            else:
                named.setdefault(each.profile.pool_name, []).append(each)
        shared = (_pool(name, *named[name]) for name in sorted(named))
        return (*shared, *(_pool(None, each) for each in alone))

    def certificates(self) -> tuple[CertificateView, ...]:
        """The one that ends first is the first."""
        used: dict[tuple[str, bytes], list[str]] = {}
        for each in self._in_force().connections:
            for use, certificate in dict.fromkeys(_certificates(each)):
                used.setdefault((use, certificate), []).append(each.name)
        views = (_certificate(use, octets, tuple(names)) for (use, octets), names in used.items())
        return tuple(sorted(views, key=lambda view: (view.not_after, view.fingerprint, view.use)))

    def policies(self) -> tuple[PolicyView, ...]:
        return tuple(map(_policy, self._in_force().connections))

    def terms(self) -> tuple[Term, ...]:
        """What is good for a time only; worked out anew when the configuration is another one."""
        settings = self._in_force()
        if settings is not self._of:
            self._of, self._terms = settings, in_force(settings, self._api)
        return self._terms

    def expiries(self) -> tuple[ExpiryView, ...]:
        return tuple(
            ExpiryView(each.use.value, each.name, each.connections, each.until.timestamp()) for each in self.terms()
        )


def _read_once(tls: TlsSettings | None) -> tuple[Term, ...]:
    """The API reads its files when it begins, and says what is wrong with them."""
    try:
        return terms_of_api(tls)
    except (OSError, TrustError):
        return ()


def _pool(name: str | None, *connections: Connection) -> PoolView:
    first = connections[0].profile
    ranges = tuple(map(_range, first.pools))
    return PoolView(name, tuple(each.name for each in connections), ranges, first.sticky / _NANOS)


def _range(pool: Pool) -> RangeView:
    return RangeView(str(pool.first), str(pool.first + pool.count - 1), pool.count)


def _certificates(connection: Connection) -> Iterator[tuple[str, bytes]]:
    for use, known in known_of(connection):
        match known:
            case x509.Certificate():
                yield use.value, known.public_bytes(Encoding.DER)
            case bytes() if use is not Use.OCSP:
                yield use.value, known
            case _:
                pass


def _certificate(use: str, octets: bytes, connections: tuple[str, ...]) -> CertificateView:
    certificate = x509.load_der_x509_certificate(octets)
    return CertificateView(
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        use=use,
        connections=connections,
        subject=name_of(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        names=tuple(_names(certificate)),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        key=_key(certificate),
    )


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return
    for name in names:
        if isinstance(name, x509.DNSName):
            yield f"DNS:{name.value}"
        elif isinstance(name, x509.RFC822Name):
            yield f"email:{name.value}"
        elif isinstance(name, x509.IPAddress):
            yield f"IP:{name.value}"
        elif isinstance(name, x509.UniformResourceIdentifier):
            yield f"URI:{name.value}"


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {key.curve.name}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case _:
            return "of another kind"


def _policy(connection: Connection) -> PolicyView:
    policy, profile = connection.policy, connection.profile
    decides = type(policy.policy)
    return PolicyView(
        connection=policy.name,
        role=(Role.INITIATOR if policy.initiates else Role.RESPONDER).value,
        kind="ordered" if decides is OrderedPolicy else f"{decides.__module__}:{decides.__qualname__}",
        links=tuple(LinkRuleView(each.pattern, each.rank, each.cost, each.allowed) for each in policy.links),
        transports=tuple(each.value for each in policy.transports),
        local_ts=profile.local_ts,
        remote_ts=profile.remote_ts,
        blocks=bool(connection.blocks),
    )
