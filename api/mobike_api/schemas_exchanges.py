"""Exchanges of one IKE SA, as they are sent."""

from typing import Literal

from mobike_api.schemas import Answer


class Exchange(Answer):
    """One exchange, or some in a row of which there is nothing to tell but that they were answered."""

    since: float
    """When the first of them was asked, in seconds since the epoch."""
    at: float
    """When the last of them was asked."""
    asked_by: Literal["us", "peer"]
    """Who asked."""
    exchange: str
    """`IKE_SA_INIT`, `IKE_SESSION_RESUME`, `IKE_INTERMEDIATE`, `IKE_AUTH`, `INFORMATIONAL`, `CREATE_CHILD_SA`,
    `IKE_FOLLOWUP_KE`, or `unknown`."""
    topic: str
    """What it is about. Of the set-up: `init`, `init-with-cookie`, `resume`, `intermediate`, `auth`.
    Later: `liveness`, `probe`, `update-addresses`, `addresses`, `return-routability`, `repair`, `away`,
    `message-ids`, `delete-ike-sa`, `delete-child-sa`, `redirect`, `rekey-ike-sa`, `child-sa`, `follow-up`,
    or `other`."""
    message_id: int
    """Of the last."""
    times: int
    """So many in a row."""
    sent: int
    """The request of the last was sent so often; of the peer's, it came so often. 255: that often or more."""
    many_paths: bool
    """It was sent over more than one path."""
    answered: bool
    """False: of ours, and still waited for; of the set-up, given up."""
    took_ms: float | None
    """From the first request to the answer, of the last; null for the peer's and while it is not answered."""
    error: str | None
    """The notification that refused it; of `init` also `COOKIE` and `INVALID_KE_PAYLOAD`, which had it sent again."""


class ExchangeList(Answer):
    """In the order in which they ended, the set-up first while it is kept; what is not answered yet comes last."""

    items: tuple[Exchange, ...]
