"""What is sent and received about levels of the log. Answers mirror the views of `mobike.facade.loudness`."""

from typing import Annotated, Literal

from pydantic import Field

from mobike_api.schemas import Answer, Order


class LogRule(Answer):
    """How much is logged of one peer."""

    id: str
    peer: str
    """An address, an identity, a connection or an IKE SA."""
    level: str
    """`debug`, `info`, `warning` or `error`."""
    by: str
    """Who ordered it."""
    made: float
    until: float
    """In seconds since the epoch; then it is over by itself."""


class LogLevels(Answer):
    """How much is logged."""

    general: str
    """Of everything that has no level of its own."""
    items: tuple[LogRule, ...]


class LogRuleOrder(Order):
    """Log more of one peer, or less, for a while."""

    peer: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\u0000-\u001f\u007f]+$")]
    """An address, an identity, a connection or an IKE SA."""
    level: Literal["debug", "info", "warning", "error"]
    """From which level on; `debug`: each event and each order, too."""
    for_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    """Seconds; then it is logged like all others again."""
