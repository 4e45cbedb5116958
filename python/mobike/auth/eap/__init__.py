"""EAP inside IKE_AUTH, both roles (RFC 7296 section 2.16, RFC 3748). Pure: packets in and out; chance is an argument.

packet      one EAP packet, octets and meaning
steps       what a method may say next
md4         a hash that only MS-CHAPv2 still needs
mschap      the arithmetic of MS-CHAPv2 (RFC 2759, RFC 3079)
mschapv2    EAP-MSCHAPv2, both roles
tls         EAP-TLS, both roles
server      the gateway's side: identity, then a method
client      the client's side
talks       the conversations of all IKE SAs

The core carries the packets and watches the clock; it asks about each packet, and the reply is the next one, the key
that the method agreed on, or a refusal.
"""

from mobike.auth.eap.client import ClientOrders
from mobike.auth.eap.server import ServerOrders
from mobike.auth.eap.steps import TlsOrders
from mobike.auth.eap.talks import Orders, Talks

__all__ = ["ClientOrders", "Orders", "ServerOrders", "Talks", "TlsOrders"]
