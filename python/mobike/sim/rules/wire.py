"""What is on the wire (RFC 7296 sections 2.1 to 2.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar, Final

from mobike.address import Path, SaId, Transport
from mobike.events import Event, IkeSaResumed
from mobike.sim.host import Host, Past
from mobike.sim.rules.base import (
    IKE_AUTH,
    IKE_SA_INIT,
    PATH_PROBE,
    REMEMBERED,
    Broken,
    Lives,
    Memory,
    Message,
    Rule,
)
from mobike.sim.rules.syncs import Syncs
from mobike.sim.world import SECOND

MOST_TRIED: Final = 129 + 16
"""Ids that are tried at once after a kill, behind a window of what was unanswered."""
STREAM_WAITS: Final = 3 * SECOND
"""Until a stream is there, or given up."""
SKIPPED: Final = 1024
"""Ids that are left out after a kill where both ends agree upon them (RFC 6311)."""


class SameOctets(Rule):
    """One message id and direction of an IKE SA carries the same octets, whatever path each copy takes.

    Also when another process goes on with the SA, as far as that was written down.
    """

    name: ClassVar[str] = "same octets"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._octets: Memory[dict[tuple[bool, int, int], bytes]] = Memory(dict)
        self._syncs = Syncs()

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        self._octets.wrote_down(host)

    def booted(self, host: Host) -> None:
        self._octets.booted(host)
        self._syncs.booted(host)

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.length != len(message.octets):
            self.broken(host, f"the length in {message} says {message.length}, it has {len(message.octets)} octets")
        # In IKE_SA_INIT a request may change (COOKIE, another key exchange), and nobody is bound by an answer.
        if message.exchange in (IKE_SA_INIT, PATH_PROBE) or self._syncs.may_be(message):
            return
        octets = self._octets.of(host, message.spi)
        digest = blake2b(message.octets, digest_size=16).digest()
        if octets.setdefault((message.response, message.number, message.fragment), digest) != digest:
            self.broken(host, f"other octets under the same id: {message}")
        while len(octets) > REMEMBERED:
            del octets[next(iter(octets))]


@dataclass(slots=True)
class _Asked:
    unanswered: set[int] = field(default_factory=set)
    newest: int = -1
    searches: bool = False
    """It was written down, and a kill followed; what it tried since is not all answered."""
    may_jump: bool = False
    """The same where both ends agree upon ids; and it has left out none yet."""
    tried: set[int] = field(default_factory=set)
    """Ids asked since such a kill."""
    in_streams_until: int = 0
    """What was tried may have waited so long for a stream."""

    def killed(self, agreed: bool) -> None:
        """What its process knows now was written down some time ago."""
        self.searches, self.may_jump = not agreed, agreed
        self.tried.clear()


class Window(Rule):
    """No more requests are unanswered than the peer's window allows, and no id is left out.

    Ids need not leave in order: a message may be held until a data plane outside of the core carries a Child SA, or
    fall into a stream that is not there, while the next one leaves over another path (RFC 7296 section 2.3 has the peer
    take them in any order, within its window). An id that has not left is unanswered, and counts as such: whoever
    leaves it out for good is seen as soon as a window has passed, and at once where that is one. A repetition that was
    held, too, and leaves when its answer has come, asks for nothing more.

    Whoever goes on after a kill may be behind its peer, and tries some more ids until one is answered; or both ends
    agree upon them (`syncs`), and it leaves out very many, once.
    """

    name: ClassVar[str] = "window"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._asked = Memory(_Asked)
        self._syncs = Syncs()
        self._windows: dict[str, int] = {}
        """What each host's peers may allow."""
        self._serves: dict[str, int] = {}

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        self._asked.wrote_down(host)

    def booted(self, host: Host) -> None:
        self._asked.booted(host)
        self._syncs.booted(host)
        if host.past is Past.STORED:
            for asked in self._asked.all_of(host):
                asked.killed(self._syncs.agreed)
        self._serves[host.name] = max((each.profile.window for each in host.connections), default=1)
        for name in self._serves:
            others = [window for other, window in self._serves.items() if other != name]
            self._windows[name] = max(others, default=1)

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.response or message.exchange in (IKE_SA_INIT, PATH_PROBE):
            return
        known = self._asked.get(host, message.spi)
        asked = self._asked.of(host, message.spi)
        if known is None and host.past is not Past.NOTHING and message.exchange != IKE_AUTH:
            # It may have been written down before it had asked for anything.
            asked.killed(self._syncs.agreed)
        number = message.number
        if asked.searches:
            asked.tried.add(number)
        if asked.may_jump and self._syncs.asks(message):
            return
        if number > asked.newest:
            ahead = number - asked.newest - 1
            if asked.may_jump and ahead > 0 and ahead % SKIPPED == 0:
                asked.unanswered.clear()
                asked.may_jump = False
            elif asked.newest >= 0 and ahead >= MOST_TRIED:
                self.broken(host, f"request {number} follows request {asked.newest}: {message}")
            elif asked.newest >= 0:
                asked.unanswered.update(range(asked.newest + 1, number))
            asked.newest = number
            asked.unanswered.add(number)
        may_have_waited = path.transport is Transport.TCP and host.world.now < asked.in_streams_until
        window = self._windows[host.name]
        if asked.searches or may_have_waited:
            window = max(window, MOST_TRIED)
        if len(asked.unanswered) > 1 and max(asked.unanswered) - min(asked.unanswered) >= window:
            self.broken(host, f"requests {sorted(asked.unanswered)} are unanswered: {message}")

    def ike_received(self, host: Host, path: Path, message: Message) -> None:
        asked = self._asked.get(host, message.spi)
        if asked is not None and self._syncs.is_asked(message):
            # What the other end has seen is asked anew.
            asked.unanswered.clear()
        if message.response:
            if asked is None or message.number not in asked.unanswered:
                return
            asked.unanswered.discard(message.number)
            if asked.searches:
                # What is a window older was answered before the kill.
                seen = message.number - self._windows[host.name]
                asked.unanswered = {number for number in asked.unanswered if number > seen}
            # The answer to what was asked before the kill is no answer to what waits for a stream since.
            if asked.searches and not asked.unanswered and message.number in asked.tried:
                asked.searches = False
                asked.in_streams_until = host.world.now + STREAM_WAITS


class ProbesOnce(Rule):
    """Each path probe of an IKE SA has the number after the one before, so that none is ever sent twice; and only peers
    that agreed see any."""

    name: ClassVar[str] = "each probe once"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._newest: dict[tuple[str, int, int], int] = {}
        self._resumed: dict[tuple[str, int], None] = {}
        """By the initiator's SPI: their next probe may leave numbers out, since another process goes on."""

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.exchange != PATH_PROBE:
            return
        key = (host.name, message.spi, message.responder_spi)
        newest = self._newest.get(key, 0)
        may_jump = (host.name, message.spi) in self._resumed
        self._resumed.pop((host.name, message.spi), None)
        if message.response or message.number <= newest or (message.number != newest + 1 and not may_jump):
            self.broken(host, f"probe {message.number} follows probe {newest}: {message}")
        self._newest[key] = message.number
        life = self.lives.of_spi(host, message.spi)
        if life is not None and "path-probes" not in life.up.extensions:
            self.broken(host, f"a peer that knows no probes is sent one: {message}")

    def told(self, host: Host, event: Event) -> None:
        if isinstance(event, IkeSaResumed):
            self._resumed[host.name, event.up.spi_i] = None


class Secrets(Rule):
    """No shared secret leaves in clear."""

    name: ClassVar[str] = "no secret on the wire"

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        for each in host.secrets:
            if each in message.octets:
                self.broken(host, f"a shared secret stands in {message}")
