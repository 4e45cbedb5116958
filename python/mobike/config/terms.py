"""What is good for a time only: certificates, revocation lists, OCSP responses; and when their end is near.

Nobody touches them for years, and then all peers of an authority are out at once: who can renew one has to hear of it
before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from cryptography import x509
from cryptography.x509 import ocsp

from mobike.auth.eap import ClientOrders, ServerOrders, TlsOrders
from mobike.auth.names import name_of
from mobike.auth.ocsp import LONGEST
from mobike.auth.trust import Trust, read_certificates
from mobike.commands import Credential
from mobike.config.settings import Connection, Settings, TlsSettings

SOON: Final = timedelta(days=21)
"""Near the end, and no earlier than in the last quarter: a list of one day is renewed within hours."""
_FEW: Final = 3
"""Connections that are named where many rest on one."""


class Use(Enum):
    """What it is for."""

    OWN = "own"
    ISSUER = "issuer"
    """Sent behind our own."""
    AUTHORITY = "authority"
    CRL = "crl"
    OCSP = "ocsp"
    API = "api"
    """With its chain."""
    API_AUTHORITY = "api-authority"


_WORDS: Final = {
    Use.OWN: "our certificate",
    Use.ISSUER: "the certificate behind our own,",
    Use.AUTHORITY: "the authority",
    Use.CRL: "the revocation list of",
    Use.OCSP: "our OCSP response about",
    Use.API: "the API's certificate",
    Use.API_AUTHORITY: "the authority of the API's callers,",
}


class Standing(Enum):
    """Of one, now."""

    EARLY = "early"
    GOOD = "good"
    NEAR = "near"
    PAST = "past"


@dataclass(frozen=True, slots=True)
class Term:
    """One of them."""

    use: Use
    name: str
    """Whom a certificate or response is about, whose list it is."""
    since: datetime
    until: datetime
    connections: tuple[str, ...] = ()
    """That rest on it; none: the API does."""

    @property
    def near(self) -> datetime:
        """From when on its end is near."""
        return self.until - min(SOON, (self.until - self.since) / 4)

    def standing(self, now: datetime) -> Standing:
        if now < self.since:
            return Standing.EARLY
        if now >= self.until:
            return Standing.PAST
        return Standing.NEAR if now >= self.near else Standing.GOOD

    @property
    def what(self) -> str:
        """It, in words."""
        more = len(self.connections) - _FEW
        of = ", ".join(self.connections[:_FEW]) + (f" and {more} more" if more > 0 else "")
        return f"{_WORDS[self.use]} {self.name}" + (f" ({of})" if of else "")

    def said(self, now: datetime) -> str:
        """How it is, in a line."""
        match self.standing(now):
            case Standing.EARLY:
                return f"{self.what} is good only from {self.since:%F %R} UTC"
            case Standing.GOOD:
                return f"{self.what} is good until {self.until:%F %R} UTC"
            case Standing.NEAR:
                return f"{self.what} expires in {_span(self.until - now)}, at {self.until:%F %R} UTC"
            case Standing.PAST:
                return f"{self.what} has expired on {self.until:%F %R} UTC{self._harm}"

    def fix(self, now: datetime) -> str:
        """What to do about it."""
        if self.standing(now) is Standing.EARLY:
            return "look at the clock: date -u"
        match self.use:
            case Use.CRL | Use.OCSP:
                return "get a new one, then: mobike reload"
            case Use.OWN | Use.ISSUER | Use.AUTHORITY:
                return "have it renewed, then: mobike reload"
            case Use.API | Use.API_AUTHORITY:
                return "have it renewed, then start the daemon anew"

    @property
    def _harm(self) -> str:
        match self.use:
            case Use.CRL:
                return ": it keeps out all whom that authority has certified"
            case Use.OWN | Use.ISSUER | Use.OCSP:
                return ": peers refuse us"
            case Use.AUTHORITY:
                return ": nobody gets in by it"
            case Use.API | Use.API_AUTHORITY:
                return ""


def terms(connections: Iterable[Connection]) -> tuple[Term, ...]:
    """Of these connections, each once; the one that ends first is the first."""
    known: dict[tuple[Use, object], Term | None] = {}
    resting: dict[Term, list[str]] = {}
    for connection in connections:
        for use, each in known_of(connection):
            # Lists cannot be hashed.
            key = (use, each.signature if isinstance(each, x509.CertificateRevocationList) else each)
            if key not in known:
                known[key] = _term(use, each)
            if (term := known[key]) is not None:
                resting.setdefault(term, []).append(connection.name)
    return _ordered(replace(term, connections=tuple(dict.fromkeys(names))) for term, names in resting.items())


def terms_of_api(tls: TlsSettings | None) -> tuple[Term, ...]:
    """Of the files of the API, as they are now; OSError or TrustError where one cannot be read."""
    if tls is None:
        return ()
    files = [(Use.API, tls.certificate)]
    files += [] if tls.client_ca is None else [(Use.API_AUTHORITY, tls.client_ca)]
    return _ordered(_dated(use, each) for use, file in files for each in read_certificates(file.read_bytes()))


def in_force(settings: Settings, api: tuple[Term, ...]) -> tuple[Term, ...]:
    """All of them; those of the API were read when it began."""
    return _ordered((*terms(settings.connections), *api))


Known = bytes | x509.Certificate | x509.CertificateRevocationList
"""Octets are in DER: those that the core was given."""


def known_of(connection: Connection) -> Iterator[tuple[Use, Known]]:
    """What a connection shows and trusts."""
    yield from _shown(connection.profile.credential)
    yield from _trusted(connection.trust)
    match connection.eap:
        case ClientOrders(tls=TlsOrders() as tls) | ServerOrders(tls=TlsOrders() as tls):
            yield from _shown(tls.credential)
            yield from _trusted(tls.trust)
        case _:
            pass


def _shown(credential: Credential | None) -> Iterator[tuple[Use, Known]]:
    if credential is None:
        return
    for place, octets in enumerate(credential.certificates):
        yield (Use.ISSUER if place else Use.OWN), octets
    if credential.staple is not None:
        yield Use.OCSP, credential.staple


def _trusted(trust: Trust | None) -> Iterator[tuple[Use, Known]]:
    if trust is None:
        return
    for anchor in trust.anchors:
        yield Use.AUTHORITY, anchor
    for listed in trust.lists:
        yield Use.CRL, listed


def _term(use: Use, known: Known) -> Term | None:
    match known:
        case x509.CertificateRevocationList():
            # Lists without an end are refused when they are read.
            until = known.next_update_utc or known.last_update_utc
            return Term(use, known.issuer.rfc4514_string(), known.last_update_utc, until)
        case x509.Certificate():
            return _dated(use, known)
        case bytes() if use is Use.OCSP:
            return _stapled(known)
        case bytes():
            return _dated(use, x509.load_der_x509_certificate(known))


def _dated(use: Use, certificate: x509.Certificate) -> Term:
    return Term(use, name_of(certificate), certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _stapled(octets: bytes) -> Term | None:
    try:
        singles = list(ocsp.load_der_ocsp_response(octets).responses)
        since = max(each.this_update_utc for each in singles)
        until = min(each.next_update_utc or each.this_update_utc + LONGEST for each in singles)
    except ValueError:
        # Peers make nothing of it either.
        return None
    return Term(Use.OCSP, f"serial {singles[0].serial_number:x}", since, until)


def _ordered(found: Iterable[Term]) -> tuple[Term, ...]:
    return tuple(sorted(found, key=lambda term: (term.until, term.use.value, term.name)))


def _span(span: timedelta) -> str:
    if span >= timedelta(days=2):
        return f"{span.days} days"
    hours, minutes = span // timedelta(hours=1), span // timedelta(minutes=1)
    return f"{hours} hours" if hours >= 2 else f"{minutes} minutes"
