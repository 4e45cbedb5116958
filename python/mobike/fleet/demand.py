"""Connections that come up when traffic wants them: `start = "traffic"`."""

from abc import ABC

from mobike.events import TrafficWaits
from mobike.fleet.notes import Note
from mobike.fleet.reconfigure import Reconfigures
from mobike.fleet.turn import Turn
from mobike.fleet.upkeep import Upkeep
from mobike.policy.traffic import Flow, how_narrow


class Demand(Reconfigures, ABC):
    """The part of the fleet that waits for traffic."""

    def waits_for_traffic(self, connection: str) -> bool:
        """Will the next packet bring it up?"""
        upkeep = self._upkeeps.get(connection)
        return upkeep is not None and upkeep.waiting

    def _traffic_waits(self, event: TrafficWaits, turn: Turn) -> None:
        """Of all that wait for it the narrowest takes it. What is up or on its way needs no word, and what failed a
        moment ago is left alone until it waits again: whoever sends for nothing makes us try for nothing."""
        flow = Flow(event.source, event.destination, event.protocol, event.source_port, event.destination_port)
        best: tuple[int, Upkeep] | None = None
        for upkeep in self._upkeeps.waiting():
            bits = how_narrow(upkeep.policy.wakes_on, flow)
            if bits is not None and (best is None or bits > best[0]):
                best = bits, upkeep
        if best is None:
            return
        upkeep = best[1]
        self._upkeeps.want(upkeep, turn.now)
        text = "A packet from {} to {} wants it"
        turn.notes.append(Note("traffic", text, (event.source, event.destination), None, upkeep.policy.name))
