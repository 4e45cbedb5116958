"""The keys of tickets (RFC 5723): the operator's, or our own, which we change, and keep sealed in the store."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mobike.commands import SECOND, SetTicketKeys

LEAST_ROTATION_S: Final = 60.0
NAME: Final = "ticket keys"
"""What the store knows them by."""

_KEY_LEN: Final = 32
_NONCE_LEN: Final = 12
_TIME_LEN: Final = 8
_MOST: Final = 4
"""Keys that the core takes; more than two only where tickets were good for longer before a restart."""

_Own = tuple[float, bytes]
"""When it was made, in seconds since 1970, and the key."""


class Takes(Protocol):
    """The part of the core that is needed."""

    def submit(self, orders: Sequence[SetTicketKeys], /) -> None: ...


class TicketKeys:
    """Gives the core its keys, and the time of day with them."""

    def __init__(
        self,
        core: Takes,
        keys: tuple[bytes, ...],
        lifetime: int,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`lifetime`: of the tickets, in nanoseconds, at most; 0: there are none. `keys`: none: our own, changed as
        often as that, so that a key is known for no longer than twice that time."""
        self._core = core
        self._keys = keys
        self._lifetime_s = lifetime / SECOND
        self._clock = clock
        self._chance = chance
        self._own: list[_Own] = []
        self._unwritten = False
        self._task: asyncio.Task[None] | None = None

    def recall(self, store_key: bytes, kept: bytes | None) -> None:
        """What a process before this one kept. What cannot be opened, or is over, is as nothing."""
        now = self._clock()
        own = [] if kept is None else _opened(store_key, kept)
        self._own = [(made, key) for made, key in own if now - 2 * self._lifetime_s < made <= now][:_MOST]

    def changed(self, store_key: bytes) -> bytes | None:
        """What is to be kept now, sealed; None: what was kept last."""
        if not self._unwritten:
            return None
        self._unwritten = False
        return _sealed(store_key, self._own, self._chance(_NONCE_LEN))

    def unwritten(self) -> None:
        """It could not be written."""
        self._unwritten = True

    def start(self) -> None:
        if self._lifetime_s:
            self.change()
            self._task = asyncio.get_running_loop().create_task(self._rotate())

    def obey(self, keys: tuple[bytes, ...], lifetime: int) -> None:
        """The same as at the start, from now on."""
        if (keys, lifetime / SECOND) == (self._keys, self._lifetime_s):
            return
        self._keys, self._lifetime_s = keys, lifetime / SECOND
        self.close()
        if lifetime:
            self.start()
        else:
            self._core.submit([SetTicketKeys((), int(self._clock() * SECOND))])

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def change(self) -> None:
        """Another key seals where it is time for one; those before it still open what they sealed."""
        now = self._clock()
        if not self._keys and (not self._own or now - self._own[0][0] >= self._lifetime_s):
            young = [own for own in self._own if now - own[0] < 2 * self._lifetime_s]
            self._own = [(now, self._chance(_KEY_LEN)), *young][:_MOST]
            self._unwritten = True
        keys = self._keys or tuple(key for _, key in self._own)
        self._core.submit([SetTicketKeys(keys, int(now * SECOND))])

    async def _rotate(self) -> None:
        while True:
            made = self._own[0][0] if self._own and not self._keys else self._clock()
            await asyncio.sleep(max(made + self._lifetime_s - self._clock(), LEAST_ROTATION_S))
            self.change()


def _sealing(store_key: bytes) -> AESGCM:
    """A key for this alone: the store seals IKE SAs by others."""
    return AESGCM(HKDF(SHA256(), _KEY_LEN, salt=None, info=b"mobike ticket keys").derive(store_key))


def _sealed(store_key: bytes, own: Sequence[_Own], nonce: bytes) -> bytes:
    plain = b"".join(int(made).to_bytes(_TIME_LEN, "big") + key for made, key in own)
    return nonce + _sealing(store_key).encrypt(nonce, plain, NAME.encode())


def _opened(store_key: bytes, kept: bytes) -> list[_Own]:
    try:
        plain = _sealing(store_key).decrypt(kept[:_NONCE_LEN], kept[_NONCE_LEN:], NAME.encode())
    except (InvalidTag, ValueError):
        return []
    size = _TIME_LEN + _KEY_LEN
    pieces = (plain[at : at + size] for at in range(0, len(plain) - size + 1, size))
    return [(float(int.from_bytes(piece[:_TIME_LEN], "big")), piece[_TIME_LEN:]) for piece in pieces]
