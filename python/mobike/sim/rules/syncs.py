"""Message ids that both ends agree upon after a kill (RFC 6311): which messages do that.

From outside such a message looks like any other under the id 0. So they are known by who sends them when: only ends
that both offer it, and of those only one that goes on with what it had written down.
"""

from hashlib import blake2b

from mobike.sim.host import Host, Past
from mobike.sim.rules.base import INFORMATIONAL, Message


def _digest(message: Message) -> bytes:
    return blake2b(message.octets, digest_size=16).digest()


class Syncs:
    """What a rule knows of them."""

    def __init__(self) -> None:
        self._offers: dict[str, bool] = {}
        self._killed = False
        self._asked: set[bytes] = set()

    def booted(self, host: Host) -> None:
        if host.connections:
            self._offers[host.name] = any(each.profile.message_id_sync for each in host.connections)
        self._killed = self._killed or host.past is Past.STORED

    @property
    def agreed(self) -> bool:
        """Do all ends offer it?"""
        return bool(self._offers) and all(self._offers.values())

    def may_be(self, message: Message) -> bool:
        """A question about ids, or an answer to one, or what else was said under the id 0."""
        return self._killed and self.agreed and message.number == 0 and message.exchange == INFORMATIONAL

    def asks(self, message: Message) -> bool:
        """Is this request, of one who was killed and has asked for nothing since, the question? It is remembered."""
        asks = self.may_be(message) and not message.response
        if asks:
            self._asked.add(_digest(message))
        return asks

    def is_asked(self, message: Message) -> bool:
        """Has such a question come?"""
        return self.may_be(message) and not message.response and _digest(message) in self._asked
