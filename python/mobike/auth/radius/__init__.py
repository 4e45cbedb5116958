"""EAP passed through to RADIUS servers (RFC 2865, RFC 3579, RFC 2548). Pure: the sockets are the shell's.

codec       packets and attributes, their proofs, the keys inside them
relay       which packet goes to which server, again, or to the next one, and what comes of it
accounting  what a peer has used, told to the server that let it in (RFC 2866)
session     one such peer, and its account as text, which outlives the process
orders      servers, and what is sent to them
"""

from mobike.auth.radius.accounting import Accounts
from mobike.auth.radius.orders import Letter, RadiusOrders, Server
from mobike.auth.radius.relay import Relay, RelayTalk

__all__ = ["Accounts", "Letter", "RadiusOrders", "Relay", "RelayTalk", "Server"]
