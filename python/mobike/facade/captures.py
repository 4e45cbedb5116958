"""Captures of single IKE SAs, as the API sees them: what they send and receive, and the keys to read it by."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CaptureView:
    """One capture, under way or over."""

    id: str
    ike_sa: str
    by: str
    """Who ordered it."""
    began: float
    """Seconds since the epoch, like `until` and `ended`."""
    until: float
    """It ends by itself then."""
    ended: float | None
    why_ended: str | None
    packets: int
    octets: int
    missed: int
    """Packets that there was no room for."""


@dataclass(frozen=True, slots=True)
class KeysView:
    """Lines of Wireshark's files. Whoever has them can read what was captured, and forge while the keys are in use."""

    esp_sa: tuple[str, ...]
    ikev2_decryption_table: tuple[str, ...]


class Captures(Protocol):
    """All of them: one at a time; of those that are over the last few are kept for a while, in memory alone."""

    def start(self, sa: str, seconds: int, *, by: str) -> CaptureView:
        """Begin, or NotFound, or Refused."""
        ...

    def get(self, id_: str) -> CaptureView:
        """One, or NotFound."""
        ...

    def packets(self, id_: str) -> bytes:
        """So far, as pcapng; or NotFound."""
        ...

    def keys(self, id_: str) -> KeysView:
        """Of all that were in use while it ran; or NotFound."""
        ...

    def end(self, id_: str) -> CaptureView:
        """End it, and forget what was captured; or NotFound."""
        ...
