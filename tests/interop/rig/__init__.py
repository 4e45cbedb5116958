"""A network of namespaces and a strongSwan to put into it. `README.md` beside this package tells how to use them.

* `network`: `Rig`, its cables, moves and faults;  `ping`: what became of pings;  `capture`: reading captures
* `mobike`: `Mobike`, our daemon, and its usual configurations
* `charon`: `Charon`, the daemon;  `roles`: its usual configurations;  `settings`, `sas`: its language, its answers
* `pluto`: `Pluto`, the daemon of libreswan
* `freeradius`: `FreeRadius`, a RADIUS server
* `program`, `waiting`: programs in the background, waiting with a deadline;  `requirement`: skip marks
"""

from .capture import dissect
from .charon import PLUGINS, X509_PLUGINS, Charon
from .freeradius import SECRET, FreeRadius
from .mobike import DEVICE, Mobike, Toml, mobike_client, mobike_gateway
from .network import GW1, GW2, INNER, INNER6, INNER6_NET, INNER_NET, UP1, UP2, Cable, Namespace, Rig, addresses
from .ping import Pinger, PingResult, Reply
from .pluto import P12_PASSWORD, Pluto
from .program import Program, ProgramError
from .requirement import requires_freeradius, requires_libreswan, requires_rig, requires_strongswan
from .roles import CLIENT_ID, ESP, GATEWAY_ID, IKE, POOL, PSK, initiator, psk, responder
from .sas import ChildSa, IkeSa
from .settings import Settings, merge
from .waiting import until

__all__ = [
    "CLIENT_ID",
    "DEVICE",
    "ESP",
    "GATEWAY_ID",
    "GW1",
    "GW2",
    "IKE",
    "INNER",
    "INNER6",
    "INNER6_NET",
    "INNER_NET",
    "P12_PASSWORD",
    "PLUGINS",
    "POOL",
    "PSK",
    "SECRET",
    "UP1",
    "UP2",
    "X509_PLUGINS",
    "Cable",
    "Charon",
    "ChildSa",
    "FreeRadius",
    "IkeSa",
    "Mobike",
    "Namespace",
    "PingResult",
    "Pinger",
    "Pluto",
    "Program",
    "ProgramError",
    "Reply",
    "Rig",
    "Settings",
    "Toml",
    "addresses",
    "dissect",
    "initiator",
    "merge",
    "mobike_client",
    "mobike_gateway",
    "psk",
    "requires_freeradius",
    "requires_libreswan",
    "requires_rig",
    "requires_strongswan",
    "responder",
    "until",
]
