"""What is taken down of one IKE SA, for an operator who asked for it."""

from dataclasses import dataclass, field

from mobike.address import Nanos, Path


@dataclass(frozen=True, slots=True)
class Frame:
    """One datagram as it is on the wire."""

    at: Nanos
    path: Path
    sent: bool
    """By us."""
    data: bytes = field(repr=False)
    """What is in UDP, the marker before IKE on the NAT traversal port included."""


@dataclass(frozen=True, slots=True)
class Taped:
    """What was taken down since the last look."""

    frames: tuple[Frame, ...]
    missed: int
    """Those that there was no room for."""
    now: Nanos
    """By the clock of the frames."""
    ike_keys: tuple[str, ...] = field(repr=False)
    """Lines of Wireshark's `ikev2_decryption_table` for the keys of now: in the clear."""
    esp_keys: tuple[str, ...] = field(repr=False)
    """The same of `esp_sa`."""
