"""Who may in. Pure: a question, what is trusted, and the time go in; a verdict comes out.

names       does a certificate belong to who the peer says it is?
trust       what a connection trusts: authorities, revocation lists
chain       from a peer's certificate to an authority
eap         methods that a peer, or we, may prove themselves by instead
radius      the same, judged by a server elsewhere
doorkeeper  the questions of the core, answered in turn

The core has checked the peer's signature before it asks (RFC 7427): whoever is asked about here holds the key of the
first certificate. What is left to find out is whether that certificate says who the peer is, and whether we believe it.
"""

from mobike.auth.chain import Refused, validate
from mobike.auth.doorkeeper import Doorkeeper
from mobike.auth.names import PeerName
from mobike.auth.trust import Trust, TrustError

__all__ = ["Doorkeeper", "PeerName", "Refused", "Trust", "TrustError", "validate"]
