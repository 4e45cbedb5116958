"""What credentials there are, by the words that say so: for the command and the configuration, which
know nothing else of each other."""

from collections.abc import Mapping
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    "psk": "a pre-shared key",
    "ppk": "a post-quantum key beside another proof (RFC 8784)",
    "password": "what a client knows in EAP",
    "users": "the passwords of a gateway's peers in EAP, in TOML",
    "radius": "the secret of a RADIUS server",
    "private-key": "what we sign with, in PEM",
    "certificate": "what we show, with its chain, in PEM",
    "identity": "both of them, so that they are replaced at once",
    "authority": "certificates of authorities that we trust, in PEM",
    "public-key": "what a peer signs with, in PEM",
}
