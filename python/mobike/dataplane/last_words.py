"""What a Child SA has carried, asked of a data plane outside of the core before it is taken out of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from mobike.address import ChildId
from mobike.dataplane.operations import ChildOrder, RemoveChild
from mobike.events import ChildDown, Event

MOST_REMEMBERED: Final = 4_096
"""A `ChildDown` comes right behind its `RemoveChild`, in the same turn or the next. Some never come."""


class LastWords:
    """From `RemoveChild` to `ChildDown`."""

    def __init__(self, carried: Callable[[ChildId], Mapping[str, int] | None]) -> None:
        self._carried = carried
        self._said: dict[ChildId, Mapping[str, int]] = {}

    def note(self, orders: Sequence[ChildOrder]) -> None:
        """They are about to be carried out."""
        for order in orders:
            if isinstance(order, RemoveChild) and (said := self._carried(order.child)) is not None:
                self._said[order.child] = said
        while len(self._said) > MOST_REMEMBERED:
            del self._said[next(iter(self._said))]

    def put_in(self, facts: Iterable[Event]) -> Iterator[Event]:
        """The same, with what was carried."""
        for fact in facts:
            if isinstance(fact, ChildDown) and (said := self._said.pop(fact.child, None)) is not None:
                yield replace(
                    fact,
                    packets_in=said.get("packets_in", 0),
                    packets_out=said.get("packets_out", 0),
                    bytes_in=said.get("bytes_in", 0),
                    bytes_out=said.get("bytes_out", 0),
                )
            else:
                yield fact
