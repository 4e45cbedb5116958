"""Rules about the Child SAs of a connection that concern more than one key."""

from collections.abc import Iterator

from mobike.config.locate import Key
from mobike.config.models import ConnectionTable
from mobike.config.modes import is_transport


def of_children(table: ConnectionTable, name: str) -> Iterator[tuple[Key, str]]:
    """Keys about Child SAs that contradict each other."""
    taken = {name}
    for place, child in enumerate(table.child):
        if child.name in taken:
            whose = "the connection itself, whose first Child SA" if child.name == name else "another child, which"
            yield ("child", place, "name"), f"is the name of {whose} has it already"
        taken.add(child.name)
        if not child.local_ts and not child.remote_ts and (is_transport(table) or not is_transport(table, child)):
            message = "says neither local_ts nor remote_ts: its traffic would be that of the first"
            yield ("child", place), message
        if table.role == "responder" and "start" in child.model_fields_set:
            yield ("child", place, "start"), "only an initiator opens it by itself"
    if table.role == "initiator" and len(table.child) >= table.most_children:
        message = f"is less than the {len(table.child) + 1} Child SAs that this connection names"
        yield ("most_children",), message
    yield from _of_childless(table)


def _of_childless(table: ConnectionTable) -> Iterator[tuple[Key, str]]:
    if table.role == "responder":
        if table.childless == "prefer":
            yield ("childless",), "only an initiator prefers; a responder says allow, require or never"
        if "start_child" in table.model_fields_set:
            yield ("start_child",), "only an initiator opens it by itself"
    elif table.start_child == "manual" and table.childless not in {"prefer", "require"}:
        yield ("start_child",), 'goes with childless = "prefer" or "require": else it comes with the IKE SA'
