"""The fleet: all sessions together. Facts of one turn go in, decisions come out, both as batches.

How to read on: `fleet` is the only door (`handle` in, `poll_deadline` for the loop, views for the API), with one room
for each source of facts: `links` follows what this host has, `orders` what its operator says, `paths` what falls silent
or answers, `probes` what is seen of pairs all the time; `turn` is what the machines see and say during one `handle`;
`connects` begins, over the ways of now; `reconfigure` takes another configuration; `scouts` search for all who share a
silence, `retests` test spare pairs; `addresses` knows this host, `facts` knows pairs, `sessions` finds SAs by id and by
local address, `upkeep` keeps up the connections that should be up; `views` and `notes` are for people.

Promises: an address that is gone leads to its commands in the same `handle`; policy runs once for all sessions in the
same situation; every queue has a limit, and what is left over gets a deadline.
"""

from mobike.fleet.fleet import Decided, Fleet
from mobike.fleet.links import RouteQuestion
from mobike.fleet.notes import Note
from mobike.fleet.reconfigure import Edited, Reconfiguration, Renewal
from mobike.fleet.views import (
    AddressRow,
    ConnectionRow,
    FactRow,
    MoveRow,
    PairRow,
    SessionDetail,
    SessionPage,
    SessionRow,
    Supposition,
)

__all__ = [
    "AddressRow",
    "ConnectionRow",
    "Decided",
    "Edited",
    "FactRow",
    "Fleet",
    "MoveRow",
    "Note",
    "PairRow",
    "Reconfiguration",
    "Renewal",
    "RouteQuestion",
    "SessionDetail",
    "SessionPage",
    "SessionRow",
    "Supposition",
]
