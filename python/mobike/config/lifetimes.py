"""Lifetimes of SAs: what the hard ones are where the file does not say, and what of them cannot be."""

from collections.abc import Iterator
from typing import Final, Protocol

from mobike.commands import Limits

MARGIN: Final = 300 * 1_000_000_000
"""From a soft lifetime to the hard one, at least: longer than a peer that does not answer is asked in vain, so that
such an SA ends for that reason, and long enough to ask again after a refusal or two."""

MOST: Final = (1 << 63) - 1
"""Of octets and packets."""


class Lifetimes(Protocol):
    """What the file says."""

    ike_lifetime: int
    esp_lifetime: int
    ike_lifetime_hard: int | None
    esp_lifetime_hard: int | None
    reauth_lifetime: int
    esp_lifetime_bytes: int
    esp_lifetime_packets: int
    esp_lifetime_bytes_hard: int | None
    esp_lifetime_packets_hard: int | None


def limits_of(said: Lifetimes) -> Limits:
    """Hard lifetimes are a tenth above the soft ones, but for what the file says."""
    return Limits(
        ike_hard=_by_time(said.ike_lifetime, said.ike_lifetime_hard),
        esp_hard=_by_time(said.esp_lifetime, said.esp_lifetime_hard),
        reauth=said.reauth_lifetime,
        soft_bytes=said.esp_lifetime_bytes,
        soft_packets=said.esp_lifetime_packets,
        hard_bytes=_by_volume(said.esp_lifetime_bytes, said.esp_lifetime_bytes_hard),
        hard_packets=_by_volume(said.esp_lifetime_packets, said.esp_lifetime_packets_hard),
    )


def contradictions(said: Lifetimes) -> Iterator[tuple[str, str]]:
    """Keys, and what is wrong with them."""
    pairs = (
        ("ike_lifetime", said.ike_lifetime, said.ike_lifetime_hard),
        ("esp_lifetime", said.esp_lifetime, said.esp_lifetime_hard),
        ("esp_lifetime_bytes", said.esp_lifetime_bytes, said.esp_lifetime_bytes_hard),
        ("esp_lifetime_packets", said.esp_lifetime_packets, said.esp_lifetime_packets_hard),
    )
    for key, soft, hard in pairs:
        if hard and soft >= hard:
            yield f"{key}_hard", f"must be more than {key}: an SA is replaced at that one and ends at this one"


def _by_time(soft: int, hard: int | None) -> int:
    if hard is not None or not soft:
        return hard or 0
    return soft + max(soft // 10, MARGIN)


def _by_volume(soft: int, hard: int | None) -> int:
    if hard is not None or not soft:
        return hard or 0
    return min(soft + max(soft // 10, 1), MOST)
