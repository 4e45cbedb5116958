"""What the ends of one IKE SA asked each other of late. Mirrors `rust/ike/src/sa/trace.rs`."""

from dataclasses import dataclass

from mobike.address import Nanos


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange, or some in a row of which there is nothing to tell but that they were answered."""

    since: Nanos
    """When the first of them was asked."""
    at: Nanos
    """When the last of them was asked."""
    ours: bool
    """We asked."""
    kind: str | None
    """The exchange, as the RFCs name it; None: one that nobody knows."""
    topic: str
    message_id: int
    """Of the last."""
    times: int
    """So many in a row."""
    sent: int
    """The request of the last was sent so often; of the peer's, it came so often. 255: or more."""
    many_paths: bool
    """It was sent over more than one path."""
    answered: bool
    """False: of ours, and still waited for; of the set-up, given up."""
    took: Nanos | None
    """From the first request to the answer; of the last of ours alone."""
    error: str | None
    """The notification that refused it."""
