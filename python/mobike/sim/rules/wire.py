"""What is on the wire (RFC 7296 sections 2.1 to 2.3)."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar

from mobike.address import Path
from mobike.sim.host import Host
from mobike.sim.rules.base import IKE_SA_INIT, PATH_PROBE, REMEMBERED, Broken, Lives, Message, Rule


class SameOctets(Rule):
    """One message id and direction of an IKE SA carries the same octets, whatever path each copy takes."""

    name: ClassVar[str] = "same octets"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._octets: dict[tuple[str, int, int], dict[tuple[bool, int, int], bytes]] = {}

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.length != len(message.octets):
            self.broken(host, f"the length in {message} says {message.length}, it has {len(message.octets)} octets")
        # In IKE_SA_INIT a request may change (COOKIE, another key exchange), and nobody is bound by an answer.
        if message.exchange in (IKE_SA_INIT, PATH_PROBE):
            return
        octets = self._octets.setdefault((host.name, host.boots, message.spi), {})
        digest = blake2b(message.octets, digest_size=16).digest()
        if octets.setdefault((message.response, message.number, message.fragment), digest) != digest:
            self.broken(host, f"other octets under the same id: {message}")
        while len(octets) > REMEMBERED:
            del octets[next(iter(octets))]


@dataclass(slots=True)
class _Asked:
    unanswered: set[int] = field(default_factory=set)
    newest: int = -1


class Window(Rule):
    """No more requests are unanswered than the peer's window allows, and their ids follow each other."""

    name: ClassVar[str] = "window"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._asked: dict[tuple[str, int, int], _Asked] = {}
        self._windows: dict[str, int] = {}
        """What each host's peers may allow."""
        self._serves: dict[str, int] = {}

    def booted(self, host: Host) -> None:
        self._serves[host.name] = max((each.profile.window for each in host.connections), default=1)
        for name in self._serves:
            others = [window for other, window in self._serves.items() if other != name]
            self._windows[name] = max(others, default=1)

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.response or message.exchange in (IKE_SA_INIT, PATH_PROBE):
            return
        asked = self._asked.setdefault((host.name, host.boots, message.spi), _Asked())
        number = message.number
        if number > asked.newest:
            if asked.newest >= 0 and number != asked.newest + 1:
                self.broken(host, f"request {number} follows request {asked.newest}: {message}")
            asked.newest = number
        asked.unanswered.add(number)
        if len(asked.unanswered) > 1 and max(asked.unanswered) - min(asked.unanswered) >= self._windows[host.name]:
            self.broken(host, f"requests {sorted(asked.unanswered)} are unanswered: {message}")

    def ike_received(self, host: Host, path: Path, message: Message) -> None:
        if message.response:
            asked = self._asked.get((host.name, host.boots, message.spi))
            if asked is not None:
                asked.unanswered.discard(message.number)


class ProbesOnce(Rule):
    """Each path probe of an IKE SA has the number after the one before, so that none is ever sent twice; and only peers
    that agreed see any."""

    name: ClassVar[str] = "each probe once"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._newest: dict[tuple[str, int, int, int], int] = {}

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.exchange != PATH_PROBE:
            return
        key = (host.name, host.boots, message.spi, message.responder_spi)
        newest = self._newest.get(key, 0)
        if message.response or message.number != newest + 1:
            self.broken(host, f"probe {message.number} follows probe {newest}: {message}")
        self._newest[key] = message.number
        life = self.lives.of_spi(host, message.spi)
        if life is not None and "path-probes" not in life.up.extensions:
            self.broken(host, f"a peer that knows no probes is sent one: {message}")


class Secrets(Rule):
    """No shared secret leaves in clear."""

    name: ClassVar[str] = "no secret on the wire"

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        for each in host.secrets:
            if each in message.octets:
                self.broken(host, f"a shared secret stands in {message}")
