"""What is thrown away while its tunnel is down, and not sent in the clear; and what brings it up.

Who begins blocks, unless told otherwise. A responder cannot know whether its tunnel is wanted, and its `remote_ts` may
be wide, and a peer's own address among it: it blocks where an operator says so. In transport mode the traffic is for
the peer's own address always. What a tunnel waits for is blocked in either mode: it must not leave before.
"""

from collections.abc import Iterator
from typing import Final

from mobike.config.models import ConnectionTable
from mobike.config.modes import any_transport
from mobike.selector import Traffic

_EVERYTHING: Final = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}


def of_blocks(table: ConnectionTable) -> Iterator[tuple[str, str]]:
    """What contradicts, by key."""
    if table.while_down == "block" and table.role == "responder" and not table.remote_ts:
        yield "while_down", "needs remote_ts here: addresses of a pool are never reached in the clear anyway"
    if table.start == "traffic" and table.role == "responder":
        yield "start", '"traffic" is for who begins: a responder takes whoever comes'
    elif table.start == "traffic" and table.while_down == "clear":
        yield "while_down", 'must be "block" with start = "traffic": a packet that is waited for does not leave'
    elif table.start == "traffic" and not blocks(table):
        yield "start", 'has no traffic to wait for: all Child SAs come by order (start_child, start = "manual")'


def blocks(table: ConnectionTable) -> tuple[Traffic, ...]:
    """Of an initiator all that it opens by itself. Where it does not say what is behind its peer, the peer says it, and
    nothing is known before: then what is asked for is blocked, which is everything."""
    begins = table.role == "initiator"
    usual = "block" if begins and (table.start == "traffic" or not any_transport(table)) else "clear"
    if (table.while_down or usual) == "clear":
        return ()
    asked = tuple(_EVERYTHING[family] for family in ("ipv4", "ipv6") if family in table.virtual_ip)
    sides = [(table.local_ts, table.remote_ts)] if table.role == "responder" or table.start_child == "auto" else []
    sides += [(each.local_ts or table.local_ts, each.remote_ts or table.remote_ts) for each in table.child if
              table.role == "responder" or each.start == "auto"]  # fmt: skip
    return tuple(Traffic(tuple(local or asked), tuple(remote or asked)) for local, remote in sides)
