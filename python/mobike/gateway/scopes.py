"""What SAs and policies of each connection have beside what was agreed, in the words of the kernel's plane."""

from collections.abc import Iterable

from mobike.config.settings import Connection, PacketMark
from mobike.dataplane.xfrm.selectors import Lane, Mark
from mobike.dataplane.xfrm.state import Scope


def scopes_of(connections: Iterable[Connection], interface: int = 0) -> dict[str, Scope]:
    """By name of a connection, and of each of its Child SAs; those without are left out. `interface`: the `if_id` of
    those that say none."""
    scopes: dict[str, Scope] = {}
    for connection in connections:
        marks = connection.marks
        if marks or interface:
            scope = Scope(Lane(marks.interface or interface, _mark(marks.mark)), _mark(marks.output_mark))
            scopes |= dict.fromkeys((connection.name, *connection.policy.children), scope)
    return scopes


def _mark(mark: PacketMark | None) -> Mark | None:
    return None if mark is None else Mark(mark.value, mark.mask)
