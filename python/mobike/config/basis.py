"""What a ticket (RFC 5723) rests on: everything by which peers of a connection are believed.

Who takes an IKE SA up again shows no proof. So whatever the operator took back since (a key, an authority, a
certificate by a list, a user) must count all the same: a ticket is good for as long as this is what it was when it was
given. A change that concerns one peer costs the others a full set-up, no more.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from mobike.auth.eap import Orders, ServerOrders, TlsOrders
from mobike.auth.radius import RadiusOrders
from mobike.auth.trust import Trust

LENGTH: Final = 16


def basis(
    how: str,
    *,
    secrets: Sequence[bytes],
    keys: Sequence[bytes] = (),
    trust: Trust | None = None,
    eap: Orders | None = None,
) -> bytes:
    """A name for all of it. `how`: in which way peers prove themselves; `secrets`: those that both ends know."""
    digest = hashlib.blake2b(digest_size=LENGTH, person=b"mobike tickets")
    for part in (how.encode(), *secrets, *keys, *_trusted(trust), *_of_eap(eap)):
        # Each with its length, so that no two lists of parts look alike.
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _of_eap(eap: Orders | None) -> Iterator[bytes]:
    match eap:
        case ServerOrders(passwords=passwords, tls=tls):
            for name in sorted(passwords):
                yield from (name.encode(), passwords[name].encode())
            yield from _of_tls(tls)
        case RadiusOrders(servers=servers):
            yield from (f"{each.ip} {each.port}".encode() for each in servers)
        case _:
            pass


def _of_tls(tls: TlsOrders | None) -> Iterator[bytes]:
    if tls is not None:
        yield from _trusted(tls.trust)


def _trusted(trust: Trust | None) -> Iterator[bytes]:
    """Authorities, and who is revoked: a list that was issued again and says the same changes nothing."""
    if trust is None:
        return
    yield trust.ocsp.value.encode()
    yield from sorted(anchor.public_bytes(Encoding.DER) for anchor in trust.anchors)
    for listed in sorted(trust.lists, key=lambda listed: listed.issuer.public_bytes()):
        yield listed.issuer.public_bytes()
        yield from (f"{serial:x}".encode() for serial in sorted(each.serial_number for each in listed))
