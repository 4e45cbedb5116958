"""Tickets (RFC 5723): the rules about these keys, and what becomes of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from mobike.config.locate import Key
from mobike.config.models import ConnectionTable, TicketsTable
from mobike.config.named import SecretError, Shelf

MOST_KEYS: Final = 4
KEY_LEN: Final = 32
_MOST: Final = 7 * 24 * 3600 * 1_000_000_000
"""RFC 5723 section 6.2: a ticket is good no longer than the proof in it would be believed."""


def of_tickets(table: ConnectionTable) -> Iterator[tuple[str, str]]:
    """What contradicts, by key."""
    if table.role == "initiator" and table.tickets:
        yield "tickets", "only a responder gives them; an initiator uses them with resume"
    if table.role == "responder" and table.resume:
        yield "resume", "only an initiator takes an IKE SA up again; a responder gives tickets"
    if table.tickets and "radius" in table.eap:
        yield "tickets", 'not with eap = ["radius"]: the server would hear nothing of who comes back by a ticket'
    if not 0 <= table.tickets <= _MOST:
        yield "tickets", "must be 0 (none) to 7 days"


def read_ticket_keys(table: TicketsTable, base: Path, problem: Callable[[Key, str], None]) -> tuple[bytes, ...]:
    """The operator's keys: a line each, hexadecimal; the first seals. None: the process makes its own."""
    if table.key_file is None:
        return ()
    try:
        content = Shelf(base).read("key_file", table.key_file, 4096)
    except SecretError as trouble:
        problem(("tickets", trouble.key), str(trouble))
        return ()
    for warning in content.warnings:
        problem(("tickets", "key_file"), warning)
    lines = content.octets.decode("ascii", "replace").split()
    try:
        keys = tuple(bytes.fromhex(line) for line in lines)
    except ValueError:
        keys = ()
    if not 1 <= len(keys) <= MOST_KEYS or any(len(key) != KEY_LEN for key in keys):
        problem(("tickets", "key_file"), "must hold 1 to 4 keys of 64 hexadecimal digits, a line each")
        return ()
    return keys
