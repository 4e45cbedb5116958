"""All rules at once."""

from collections.abc import Callable, Sequence
from typing import Final

from mobike.address import Path, SaId
from mobike.commands import Command
from mobike.dataplane.operations import Operation
from mobike.events import Event
from mobike.fleet import Decided
from mobike.sim.host import Effect, Host
from mobike.sim.rules.base import Lives, Rule, read, read_esp
from mobike.sim.rules.carried import Carried
from mobike.sim.rules.news import MovesNothing
from mobike.sim.rules.orders import Answers, Directions, OlderUpdate
from mobike.sim.rules.resumed import DeliveredOnce, GoesOn, NothingRepeated
from mobike.sim.rules.told import Log, NothingLost, Sense
from mobike.sim.rules.traffic import Agreement, Allowed, Proven
from mobike.sim.rules.wire import ProbesOnce, SameOctets, Secrets, Window
from mobike.sim.world import SECOND, World

MOST_TOLD: Final = 50
"""Violations kept: the first ones say what is wrong."""

ESP_HEAD: Final = 16
"""Octets in the clear that an ESP packet begins with; a keepalive has one."""

ALL: Final[Sequence[type[Rule]]] = (
    *(SameOctets, Window, ProbesOnce, Secrets),
    *(Answers, Directions, OlderUpdate),
    *(Proven, Allowed, Agreement),
    Carried,
    *(GoesOn, NothingRepeated, DeliveredOnce),
    *(Sense, NothingLost, Log),
    MovesNothing,
)


class Rules:
    """Sees everything (`host.Watcher`) and shows it to each rule; `violations` says what was wrong, when and where."""

    def __init__(self, world: World) -> None:
        self.violations: list[str] = []
        self._world = world
        self.lives = Lives()
        rules = [rule(self.lives, self.broken) for rule in ALL]
        self._wrote_down = _who_cares(rules, "wrote_down")
        self._booted = _who_cares(rules, "booted")
        self._not_resumed = _who_cares(rules, "not_resumed")
        self._ike_sent = _who_cares(rules, "ike_sent")
        self._ike_received = _who_cares(rules, "ike_received")
        self._esp_sent = _who_cares(rules, "esp_sent")
        self._esp_received = _who_cares(rules, "esp_received")
        self._grumbled = _who_cares(rules, "grumbled")
        self._delivered = _who_cares(rules, "delivered")
        self._told = _who_cares(rules, "told")
        self._ordered = _who_cares(rules, "ordered")
        self._turned = _who_cares(rules, "turned")
        self._ended = _who_cares(rules, "ended")

    def broken(self, host: Host, what: str) -> None:
        if len(self.violations) < MOST_TOLD:
            self.violations.append(f"{self._world.now / SECOND:.6f} s, {host.name}: {what}")

    # --- what hosts show ---

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        for see in self._wrote_down:
            see(host, sas)

    def booted(self, host: Host) -> None:
        self.lives.booted(host)
        for see in self._booted:
            see(host)

    def not_resumed(self, host: Host, sa: SaId, why: str) -> None:
        for see in self._not_resumed:
            see(host, sa, why)

    def sent(self, host: Host, path: Path, data: bytes, carries: str) -> None:
        if carries == "esp":
            packet = read_esp(data)
            for see in self._esp_sent:
                see(host, path, packet)
        elif carries == "ike":
            message = read(data, path.local.port)
            if message is None:
                self.broken(host, f"no IKE message, though it is to be one: {data[:32].hex()}")
                return
            for see in self._ike_sent:
                see(host, path, message)

    def received(self, host: Host, path: Path, data: bytes) -> None:
        message = read(data, path.local.port)
        if message is not None:
            for see in self._ike_received:
                see(host, path, message)
        elif len(data) >= ESP_HEAD and any(data[:4]):
            packet = read_esp(data)
            for see in self._esp_received:
                see(host, path, packet)

    def grumbled(self, host: Host, path: Path, effect: Effect) -> None:
        for see in self._grumbled:
            see(host, path, effect)

    def delivered(self, host: Host, packets: Sequence[bytes]) -> None:
        for packet in packets:
            for see in self._delivered:
                see(host, packet)

    def told(self, host: Host, events: Sequence[Event]) -> None:
        for event in events:
            for see in self._told:
                see(host, event)
            self.lives.told(host, event)

    def ordered(self, host: Host, orders: Sequence[Command | Operation]) -> None:
        for see in self._ordered:
            see(host, orders)

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        for see in self._turned:
            see(host, events, decided)

    def ended(self, hosts: Sequence[Host]) -> None:
        for see in self._ended:
            see(hosts)


def _who_cares(rules: Sequence[Rule], method: str) -> list[Callable[..., None]]:
    """The rules that look at this: most look at little, and packets are many."""
    return [getattr(rule, method) for rule in rules if getattr(type(rule), method) is not getattr(Rule, method)]
