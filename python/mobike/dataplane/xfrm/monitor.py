"""What the kernel tells unasked: a packet that wants an SA, SAs that are worn, NATs that changed their mind, and what
somebody else took away."""

from typing import Final

from mobike.dataplane.xfrm.earplugs import hear_others_alone
from mobike.dataplane.xfrm.kernel import open_socket
from mobike.dataplane.xfrm.read import News, messages, news_of
from mobike.dataplane.xfrm.uapi import Group

ROOM: Final = 1 << 20
"""Octets of news that may wait: some thousand."""
MOST_AT_ONCE: Final = 1024
_LONGEST: Final = 1 << 16
_GROUPS: Final = (Group.ACQUIRE, Group.EXPIRE, Group.MAPPING, Group.SA, Group.POLICY)


class Monitor:
    """A socket that nobody waits for: `fileno` is readable while news waits."""

    def __init__(self, ours: int = 0, *, room: int = ROOM) -> None:
        """`ours`: the port of the socket by which we change things, which is no news."""
        self._socket = open_socket(room, _GROUPS, hear_others_alone(ours))
        self._socket.setblocking(False)
        self._buffer = bytearray(_LONGEST)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def take(self) -> tuple[list[News], bool]:
        """News, and whether some was lost: then counters, SAs and policies must be looked at."""
        news: list[News] = []
        lost = False
        for _ in range(MOST_AT_ONCE):
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError:
                lost = True
                continue
            for message in messages(memoryview(self._buffer)[:size]):
                each = news_of(message)
                if each is not None:
                    news.append(each)
            # News of SAs may carry their keys; other messages are not for us, and may.
            self._buffer[:size] = bytes(size)
        return news, lost
