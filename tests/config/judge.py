"""A stand-in for the core's checks: knows a few tokens, and names the one it does not know."""

from typing import Final

_AEAD: Final = {"aes128gcm16", "aes256gcm16", "chacha20poly1305"}
_IKE: Final = _AEAD | {"prfsha256", "prfsha384", "x25519", "ecp256", "ecp384", "ke1_mlkem768"}
_ESP: Final = _AEAD


class Judge:
    """Implements `mobike.config.Checks`."""

    def check_ike_proposal(self, text: str, /) -> None:
        _only(text, _IKE)

    def check_esp_proposal(self, text: str, /) -> None:
        _only(text, _ESP)

    def check_identity(self, text: str, /) -> None:
        if "*" in text:
            raise ValueError(f"{text!r} is a pattern, not an identity")

    def check_identity_pattern(self, text: str, /) -> None:
        if "*" in text.removeprefix("*"):
            raise ValueError(f"{text!r}: '*' may stand at the beginning only")


def _only(text: str, known: set[str]) -> None:
    for token in text.split("-"):
        if token not in known:
            raise ValueError(f"unknown algorithm {token!r} in {text!r}")
