"""Attempts as a daemon might know them."""

from typing import Final

from mobike.facade.attempts import AttemptView, LineView

_OFFERED: Final = AttemptView(
    at=1_790_003_600.0,
    since=1_790_003_480.0,
    times=3,
    by_us=False,
    ending="refused",
    step="IKE_SA_INIT",
    connection=None,
    ike_sa=None,
    peer="198.51.100.7",
    path="192.0.2.10:500 -> 198.51.100.7:500",
    peer_id=None,
    reason="no-proposal",
    why="IKE_SA_INIT refused: offered aes256-sha1-prfsha1-modp2048; we accept aes256gcm16-prfsha384-x25519",
    fault="both",
    lines=(
        LineView("encryption", ("aes256",), ("aes256gcm16", "aes128gcm16", "chacha20poly1305"), fits=False),
        LineView("integrity", ("sha1",), (), fits=False),
        LineView("PRF", ("prfsha256",), ("prfsha256",), fits=True),
        LineView("key exchange", ("modp2048",), ("x25519", "ecp384", "ecp256"), fits=False),
    ),
    fix="let the peer offer aes256gcm16-prfsha256-x25519; or, weak as it is, add"
    ' "aes256-sha1-prfsha256-modp2048" to `ike` of the connection here',
)
_ANSWERED: Final = AttemptView(
    at=1_790_003_500.0,
    since=1_790_003_500.0,
    times=1,
    by_us=True,
    ending="failed",
    step="IKE_SA_INIT",
    connection="lab",
    ike_sa=None,
    peer="203.0.113.9",
    path="192.0.2.10:500 -> 203.0.113.9:500",
    peer_id=None,
    reason="no-answer",
    why="no answer for 165.0 s",
    fault="network",
    lines=(),
    fix="nothing came back from 203.0.113.9: is it up, and do UDP 500 and 4500 pass on the way (mobike doctor)?",
)
_UP: Final = AttemptView(
    at=1_790_003_590.0,
    since=1_790_003_590.0,
    times=1,
    by_us=False,
    ending="up",
    step="IKE_AUTH",
    connection="roadwarriors",
    ike_sa="1",
    peer="198.51.100.8",
    path="192.0.2.10:4500 -> 198.51.100.8:4500",
    peer_id="carol@example.net",
    reason="up",
    why="IKE SA is up: aes128gcm16-prfsha256-x25519",
    fault="nobody",
    lines=(),
    fix=None,
)
_NAMED: Final = AttemptView(
    at=1_790_003_000.0,
    since=1_790_003_000.0,
    times=1,
    by_us=False,
    ending="refused",
    step="IKE_AUTH",
    connection=None,
    ike_sa=None,
    peer="198.51.100.8",
    path="192.0.2.10:4500 -> 198.51.100.8:4500",
    peer_id="carol@example.org",
    reason="wrong-identity",
    why="IKE_AUTH of carol@example.org refused: peer's identity is not the one the profile wants",
    fault="both",
    lines=(
        LineView("peer identity", ("carol@example.org",), ("*@example.net",), fits=False),
        LineView("our identity", (), ("gw.example.net",), fits=True),
        LineView("authentication", ("pre-shared key",), ("pre-shared key",), fits=True),
    ),
    fix='give a connection remote_id = "carol@example.org", or let the peer call itself *@example.net',
)

TRIES: Final = (_OFFERED, _UP, _ANSWERED, _NAMED)
"""The latest first."""


def tries_of(peer: str | None) -> tuple[AttemptView, ...]:
    """Those that are of this peer."""
    return tuple(each for each in TRIES if peer in (None, each.peer, each.peer_id, each.connection))
