"""What only the core can judge. The shell passes `mobike._core` itself here; config stays free of it."""

from typing import Protocol


class Checks(Protocol):
    """Each check raises ValueError with one line that names what is wrong."""

    def check_ike_proposal(self, text: str, /) -> object:
        """Like `aes128gcm16-prfsha256-x25519`."""

    def check_esp_proposal(self, text: str, /) -> object:
        """Like `aes128gcm16`."""

    def check_identity(self, text: str, /) -> object:
        """An address, FQDN, user@FQDN or `keyid:HEX`."""

    def check_identity_pattern(self, text: str, /) -> object:
        """As an identity, or `*`, `*@example.net`, `*.example.net`."""
