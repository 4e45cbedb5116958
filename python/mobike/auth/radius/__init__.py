"""EAP passed through to RADIUS servers (RFC 2865, RFC 3579, RFC 2548). Pure: the sockets are the shell's.

codec       packets and attributes, their proofs, the keys inside them
relay       which packet goes to which server, again, or to the next one, and what comes of it
"""

from mobike.auth.radius.relay import Letter, RadiusOrders, Relay, RelayTalk, Server

__all__ = ["Letter", "RadiusOrders", "Relay", "RelayTalk", "Server"]
