"""What the ends of one IKE SA asked each other of late, as the API sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExchangeView:
    """One exchange, or some in a row of which there is nothing to tell but that they were answered."""

    since: float
    """When the first of them was asked, in seconds since the epoch."""
    at: float
    """When the last of them was asked."""
    asked_by: str
    """`us` or `peer`."""
    exchange: str
    """Its name, or `unknown`."""
    topic: str
    message_id: int
    """Of the last."""
    times: int
    """So many in a row."""
    sent: int
    """The request of the last was sent so often; of the peer's, it came so often. 255: that often or more."""
    many_paths: bool
    """It was sent over more than one path."""
    answered: bool
    took_ms: float | None
    """From the first request to the answer; of the last, and of ours alone."""
    error: str | None
    """The notification that refused it."""
