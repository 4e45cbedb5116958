"""Orders to the core. They mirror `rust/ike/src/command.rs` name by name; `rust/py` carries them over in batches."""

from dataclasses import dataclass, field
from typing import TypeAlias

from mobike.address import ChildId, Generation, Ip, Path, SaId, Token
from mobike.handout import NOTHING, Handout

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


@dataclass(frozen=True, slots=True)
class Retransmit:
    """When to send a request again, and when to give up (RFC 7296 section 2.4). Times in nanoseconds."""

    initial: int = SECOND // 2
    factor_percent: int = 180
    max_interval: int = 20 * SECOND
    jitter_percent: int = 20
    give_up_initiator: int = 165 * SECOND
    give_up_responder: int = 300 * SECOND
    """RFC 4555 section 3.11: a responder is patient for five minutes at least."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Inner addresses this gateway may lease: `first` and the `count` - 1 after it."""

    first: Ip
    count: int


@dataclass(frozen=True, slots=True)
class LeasePool:
    """A pool with a name, as several connections may lease from it."""

    pool_name: str
    pools: tuple[Pool, ...]
    """One range of each family at most."""
    sticky: int = 0
    """As in a profile."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What we sign with (RFC 7427)."""

    key: bytes = field(repr=False)
    """PKCS #8 in DER, not encrypted."""
    certificates: tuple[bytes, ...] = field(repr=False)
    """X.509 in DER: the key's own first, then those that lead to an authority."""
    staple: bytes | None = field(default=None, repr=False)
    """An OCSP response about the first, in DER, for peers that ask for one (RFC 4806)."""
    raw: bytes | None = field(default=None, repr=False)
    """In place of certificates: our public key as SubjectPublicKeyInfo in DER, which the peer knows (RFC 7670)."""


@dataclass(frozen=True, slots=True)
class ChildOrders:
    """Standing orders of a Child SA beside the first of its connection."""

    name: str
    esp_proposals: tuple[str, ...]
    local_ts: tuple[str, ...]
    """Selectors of our side; empty: the inner address we were leased, or our outer one."""
    remote_ts: tuple[str, ...]
    start: bool = True
    """As the initiator: open it with the IKE SA."""
    transport_mode: bool = False
    """As in a profile."""


@dataclass(frozen=True, slots=True)
class Ppk:
    """A key that both ends share besides, against who may break key exchanges some day (RFC 8784)."""

    id: bytes
    """What both call it."""
    key: bytes = field(repr=False)
    required: bool = False
    """Without it there is no IKE SA."""


@dataclass(frozen=True, slots=True)
class Limits:
    """On the life of SAs, beside the soft lifetimes by time; 0: none. What a Child SA carries is counted in each
    direction for itself, as inner packets."""

    ike_hard: int = 0
    """An IKE SA that was not replaced after so many nanoseconds ends."""
    esp_hard: int = 0
    """The same of its Child SAs; another one is asked for."""
    reauth: int = 0
    """Both ends prove who they are anew after so many nanoseconds: the initiator sets up another IKE SA, and the
    responder insists (RFC 4478)."""
    soft_bytes: int = 0
    """New keys for a Child SA after so many octets, or up to a tenth less."""
    soft_packets: int = 0
    hard_bytes: int = 0
    """A Child SA that was not replaced after so many octets ends, and another one is asked for."""
    hard_packets: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """Standing orders of one connection: everything the engine decides without asking."""

    name: str
    local_id: str
    """An address, FQDN, user@FQDN, or `keyid:HEX` (RFC 7296 section 3.5)."""
    remote_id: str
    """As `local_id`, or a pattern: `*`, `*@example.net`, `*.example.net`."""
    psk: bytes = field(repr=False)
    """Of the ends that prove themselves by it; else empty."""
    ike_proposals: tuple[str, ...]
    esp_proposals: tuple[str, ...]
    local_ts: tuple[str, ...]
    """Selectors of what is behind us: `10.1.0.0/16`, `10.1.0.0/16[udp/5060]`; this is of the first Child SA."""
    remote_ts: tuple[str, ...]
    """Selectors of what is behind the peer; empty with a pool: the address that the peer was leased."""
    pools: tuple[Pool, ...] = ()
    pool_name: str | None = None
    """Of the pools, if several connections lease from them; they say the same of them."""
    sticky: int = 0
    """A peer gets the inner address that it had before, for so many nanoseconds after it left; 0: whichever is free."""
    named_pools: tuple[LeasePool, ...] = ()
    """Responder: pools that an answer may have a peer lease from instead."""
    handout: Handout = NOTHING
    """Responder: what goes with the addresses that it leases."""
    request_ip4: bool = False
    request_ip6: bool = False
    ask: tuple[str, ...] = ()
    """Initiator: what to ask for with them: `dns`, `networks`, `domains`."""
    anchors_for: tuple[str, ...] = ()
    """Initiator: domains of which a trust anchor is taken, and of what is below them."""
    accepts: bool = False
    """May a peer begin this connection?"""
    initial_contact: bool = True
    mobike: bool = True
    liveness: int = 30 * SECOND
    """Ask a silent peer whether it lives after this many nanoseconds; 0: never."""
    retransmit: Retransmit = Retransmit()
    ike_lifetime: int = 14_400 * SECOND
    """New keys for the IKE SA after so many nanoseconds, or up to a tenth earlier (RFC 7296 section 2.8); 0: never."""
    esp_lifetime: int = 3_600 * SECOND
    """The same of its Child SAs."""
    limits: Limits = Limits()
    """Other limits on the life of both."""
    nat_keepalive: int = 20 * SECOND
    return_routability: str = "before"
    """When a moved peer must echo a cookie (RFC 4555 section 3.7): `before` traffic follows, `after`, `never`, or
    `untrusted`: as `before`, but not inside `trusted`."""
    trusted: tuple[str, ...] = ()
    """Prefixes in which a peer need not prove its address."""
    allow_local: tuple[str, ...] = ()
    """Prefixes our own outer address must lie in; empty: any. A move elsewhere is refused (UNACCEPTABLE_ADDRESSES)."""
    allow_remote: tuple[str, ...] = ()
    """The same of the peer's outer address, as its packets show it."""
    families: tuple[int, ...] = (4, 6)
    """IP versions that may be used outside."""
    udp: bool = True
    """Paths may be datagrams."""
    tcp: bool = False
    """Paths may be streams (RFC 9329)."""
    detection_floor: int = SECOND // 4
    """Data without echo for so many nanoseconds and three round trips makes an initiator test its path; 0: never."""
    window: int = 1
    """Requests of the peer served at a time, 1 to 32 (SET_WINDOW_SIZE, RFC 7296 section 2.3)."""
    message_id_sync: bool = False
    """Agree upon message ids after a crash, with peers that know how (RFC 6311)."""
    away_at_most: int = 24 * 3600 * SECOND
    """The longest a peer may be away (docs/extensions/away.md); 0: none may."""
    follow_redirects: bool = False
    """Initiator: tell the gateway that it may send us on to another one (RFC 5685)."""
    resume: bool = False
    """Initiator: ask the gateway for a ticket, to take the IKE SA up again if it ends without a word (RFC 5723)."""
    ticket_lifetime: int = 0
    """Responder: give tickets that are good for so many nanoseconds; 0: none."""
    tickets_rest_on: bytes = field(default=b"", repr=False)
    """Names what peers are believed by; a ticket that was given when this was another is good no more, nor is one that
    came then used."""
    redirect: tuple[str, ...] = ()
    """Responder: send each peer that has proved who it is on to one of these gateways, by address or name."""
    extensions: tuple[str, ...] = ()
    """Private extensions offered to peers that know them: `path-probes`, `away` (docs/extensions/)."""
    nat_traversal: bool = True
    """Go through NATs; if not, packets whose addresses were rewritten are refused (RFC 4555 section 3.9)."""
    credential: Credential | None = None
    """We prove who we are by a signature; None: by the psk."""
    remote_certificate: bool = False
    """The peer proves who it is by a certificate, about which `Authorise` asks; if not, by the psk."""
    local_eap: bool = False
    """Initiator: we prove who we are by EAP, as `EapAsked` asks. Responder: by the key of the peer's method alone (RFC
    5998), which must then be one that proves both ends."""
    remote_eap: bool = False
    """The peer proves who it is by EAP."""
    rsa_sha1: bool = False
    """Believe RSA signatures with SHA-1 (AUTH method 1), of peers that know no better."""
    judged: bool = False
    """`Authorise` asks about every peer that has proved who it is, also by other means than a certificate."""
    remote_keys: tuple[bytes, ...] = ()
    """SubjectPublicKeyInfo in DER: the peer signs with one of these keys, whatever certificate comes along."""
    ppk: Ppk | None = None
    unique: str = "as-peer-says"
    """What becomes of IKE SAs of a peer that sets up another: `as-peer-says` (INITIAL_CONTACT), `replace`, `keep`,
    `never`."""
    authorities: tuple[bytes, ...] = ()
    """SHA-1 of the public keys of authorities, to ask the peer for a certificate of theirs (CERTREQ)."""
    transport_mode: bool = False
    """Of the first Child SA: no tunnel, but what both ends send to each other (RFC 7296 section 1.3.1). A connection
    with such a Child SA has no MOBIKE, and the Child SA is not made where there is a NAT."""
    children: tuple[ChildOrders, ...] = ()
    """Child SAs beside the first, which is called as the connection."""
    most_children: int = 16
    """Child SAs that one IKE SA may have at a time, whoever asks for them."""
    childless: str = "allow"
    """IKE SAs set up without a Child SA (RFC 6023): `never`; `allow`, if the peer likes; `prefer`, as initiator
    wherever the peer knows how; `require`."""
    start_child: bool = True
    """Initiator of a childless IKE SA: open its first Child SA as soon as that is there."""
    generation: int = field(default=0, compare=False)
    """Version of these orders, which says nothing of what is in them: the core refuses older ones than it has, and each
    IKE SA tells which it came up under."""


@dataclass(frozen=True, slots=True)
class SetProfile:
    """Give the core the standing orders of a connection, or new ones: IKE SAs that live obey at once what they can, and
    those that we are setting up are given up."""

    profile: Profile


@dataclass(frozen=True, slots=True)
class RemoveProfile:
    """Forget a connection; its SAs stay until they are closed."""

    name: str


@dataclass(frozen=True, slots=True)
class Remember:
    """At start: this peer of a connection with a sticky pool had this inner address, and left so many nanoseconds ago.
    What an SA holds by now is not touched."""

    connection: str
    peer: str
    address: Ip
    ago: int


@dataclass(frozen=True, slots=True)
class SetLocalAddresses:
    """What IKE_AUTH announces of us, most preferred first (RFC 4555 section 3.4)."""

    addresses: tuple[Ip, ...]


@dataclass(frozen=True, slots=True)
class Connect:
    """Begin an IKE SA, trying `paths` in turn (RFC 4555 section 3.1). Ports of the paths are those of IKE_SA_INIT."""

    token: Token
    connection: str
    paths: tuple[Path, ...]
    remote_natt_port: int
    redirected_from: Ip | None = None
    """The gateway that sent us on."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """These `Connect`s were ordered over paths that are not the best any more, or are wanted no more. Whoever of them
    hears nothing from its peer ends, as `ConnectFailed` with the reason `ordered`; the others go on."""

    tokens: tuple[Token, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Move:
    """As the initiator: use `path` and tell the peer (UPDATE_SA_ADDRESSES), with our list if it changed."""

    sa: SaId
    path: Path
    generation: Generation
    addresses: tuple[Ip, ...] | None


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the peer our list of addresses; over `path` where the one in use is dead."""

    sa: SaId
    addresses: tuple[Ip, ...]
    path: Path | None
    generation: Generation


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask for a sign of life now; over the path in use, or over `path`."""

    sa: SaId
    path: Path | None
    generation: Generation


@dataclass(frozen=True, slots=True)
class Watch:
    """Poll these pairs by path probes every so many nanoseconds, and no others (docs/extensions/path-probes.md)."""

    sa: SaId
    paths: tuple[Path, ...]
    """At most eight."""
    interval: int
    """0: none is polled."""


@dataclass(frozen=True, slots=True)
class Away:
    """As the initiator: ask the peer for leave to be away for `span` nanoseconds. A `Move` ends it."""

    sa: SaId
    span: int


@dataclass(frozen=True, slots=True)
class Rekey:
    """Give an IKE SA new keys now (RFC 7296 section 2.8)."""

    sa: SaId


@dataclass(frozen=True, slots=True)
class Reauth:
    """Initiator: set up another IKE SA in its place, with new proofs (RFC 7296 section 2.8.3)."""

    sa: SaId


@dataclass(frozen=True, slots=True)
class Redirect:
    """Responder: send the peer of an IKE SA on to one of these gateways (RFC 5685 section 5); the IKE SA ends within a
    minute."""

    sa: SaId
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TurnAway:
    """Responder: send who asks for an IKE SA on to one of these gateways (RFC 5685 section 4), while there are so many
    already, or more. Nowhere: serve everybody."""

    to: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class SetTicketKeys:
    """Responder: give tickets, sealed with the first of these keys of 32 octets; all of them open. None: no tickets."""

    keys: tuple[bytes, ...] = field(repr=False)
    clock: int
    """Nanoseconds since 1970: tickets outlive a process."""


SERVE_ALL = TurnAway((), 0)


@dataclass(frozen=True, slots=True)
class RekeyChild:
    """Replace one Child SA by a new one now."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class Close:
    """Delete an IKE SA and everything under it."""

    sa: SaId
    why: str


@dataclass(frozen=True, slots=True)
class OpenChild:
    """Open a Child SA that the connection names. `ChildUp` or `ChildFailed` answers."""

    sa: SaId
    name: str


@dataclass(frozen=True, slots=True)
class CloseChild:
    """Delete one Child SA."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class Allow:
    """The answer to `Authorise`: the peer may in."""

    sa: SaId
    question: int
    key: bytes
    """The SubjectPublicKeyInfo that was judged; the core lets nobody in who signed with another."""
    proven: tuple[Ip, ...] = ()
    """Addresses that the certificate proves: the peer may move there without a check (RFC 4621 section 5.5)."""
    addresses: tuple[Ip, ...] = ()
    """Responder: inner addresses for it, one of each family at most; of such a family it gets none of the pool."""
    reach: tuple[str, ...] | None = None
    """Responder: of what is behind us the peer reaches these selectors and no others; None: all that its connection
    carries."""
    pool: str | None = None
    """Responder: the one of the profile's `named_pools` that it leases from, in place of its connection's."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The answer to `Authorise`: the peer stays outside."""

    sa: SaId
    question: int
    why: str


@dataclass(frozen=True, slots=True)
class EapSend:
    """The answer to `EapAsked`: send this packet."""

    sa: SaId
    question: int
    packet: bytes = field(repr=False)
    refused: str | None = None
    """Responder: the peer has failed already, for this reason; the packet tells it, and it may say nothing more."""


@dataclass(frozen=True, slots=True)
class EapDone:
    """The answer to `EapAsked`: the method has ended well."""

    sa: SaId
    question: int
    key: bytes | None = field(repr=False)
    """The MSK; None: the method makes none, and AUTH is bound to the IKE SA by its own keys (RFC 7296 section 2.16)."""
    peer: str | None = None
    """Responder: who the peer proved to be."""
    addresses: tuple[Ip, ...] = ()
    """Responder: inner addresses for it, one of each family at most; of such a family it gets none of the pool."""
    reach: tuple[str, ...] | None = None
    """Responder: of what is behind us the peer reaches these selectors and no others; None: all that its connection
    carries."""
    pool: str | None = None
    """Responder: the one of the profile's `named_pools` that it leases from, in place of its connection's."""


@dataclass(frozen=True, slots=True)
class EapFail:
    """The answer to `EapAsked`: it has failed."""

    sa: SaId
    question: int
    why: str


@dataclass(frozen=True, slots=True)
class ChildInstalled:
    """The plane carries this Child SA, and sends on it when its orders say so: the peer may know."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class ChildRefused:
    """The plane does not carry this Child SA, and has left nothing of it behind: it ends."""

    child: ChildId
    why: str


@dataclass(frozen=True, slots=True)
class ChildRemoved:
    """The plane carries this Child SA no longer, and what takes its place sends: the peer may know."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class ChildWorn:
    """This Child SA has carried nearly what it may: it is to be replaced."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class ChildSpent:
    """This Child SA can carry no more, or the plane has lost it: it ends, and another one is asked for."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the plane saw of the Child SAs of an IKE SA since it last said so."""

    sa: SaId
    heard: bool
    """Authenticated packets came in. Not said where they may have come over another path than the one in use."""
    sent: bool
    """Packets went out."""


@dataclass(frozen=True, slots=True)
class PeerMapped:
    """Authenticated packets of this IKE SA came over this path, which is not the one in use. A NAT may have forgotten
    the peer; nothing follows it unasked."""

    sa: SaId
    path: Path


PlaneWord: TypeAlias = ChildInstalled | ChildRefused | ChildRemoved | ChildWorn | ChildSpent | Traffic | PeerMapped
"""What a data plane outside of the core tells it."""

Command: TypeAlias = (
    SetProfile
    | RemoveProfile
    | Remember
    | SetLocalAddresses
    | Connect
    | GiveUp
    | Move
    | Announce
    | Probe
    | Watch
    | Away
    | Rekey
    | Reauth
    | Redirect
    | TurnAway
    | SetTicketKeys
    | RekeyChild
    | Close
    | OpenChild
    | CloseChild
    | Allow
    | Deny
    | EapSend
    | EapDone
    | EapFail
    | PlaneWord
)
