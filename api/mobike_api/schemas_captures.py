"""Captures, as they are sent and ordered."""

from typing import Annotated

from pydantic import Field

from mobike_api.schemas import Answer, Order


class CaptureOrder(Order):
    """Take an IKE SA down."""

    seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """It ends by itself after so many."""


class Capture(Answer):
    """A capture that runs, or is over."""

    id: str
    ike_sa: str
    by: str
    """Who ordered it."""
    began: float
    """Seconds since the epoch."""
    until: float
    """When it ends by itself."""
    ended: float | None
    why_ended: str | None
    packets: int
    octets: int
    missed: int
    """Packets that there was no room for."""


class CaptureKeys(Answer):
    """Keys in the clear, as lines of Wireshark's files of these names."""

    esp_sa: tuple[str, ...]
    ikev2_decryption_table: tuple[str, ...]
