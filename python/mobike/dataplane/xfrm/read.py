"""Octets from the kernel to facts. Pure. What is too short or of an unknown kind gives nothing, never an error."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from struct import Struct
from typing import Any, Final, TypeAlias

from mobike.address import Ip
from mobike.dataplane.operations import Volumes
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.selectors import ANY_LANE, Lane, Mark, Ports, Selector
from mobike.dataplane.xfrm.state import (
    Action,
    Counters,
    Encap,
    Policy,
    PolicyKey,
    PolicySeen,
    Sa,
    SaKey,
    SaSeen,
    Template,
)
from mobike.dataplane.xfrm.suites import Aead, Cipher, Integrity, Suite, suite_named
from mobike.dataplane.xfrm.uapi import Attr, Dir, Msg, be16, be32
from mobike.selector import Network


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message; `body` is what is behind its header."""

    kind: int
    flags: int
    sequence: int
    body: memoryview


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the message of this number."""

    sequence: int
    error: int
    """0, or a number of errno(3)."""
    words: str
    """The kernel's own, if it has some."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """A packet fits a policy that protects, and there is no SA: somebody wants one."""

    reqid: int
    selector: Selector


@dataclass(frozen=True, slots=True)
class Expired:
    """An SA has carried what it may: nearly, or all, and is gone."""

    key: SaKey
    reqid: int
    hard: bool


@dataclass(frozen=True, slots=True)
class MappingChanged:
    """Authenticated packets of an SA come from another port or address than it says."""

    key: SaKey
    reqid: int
    source: Ip
    port: int


@dataclass(frozen=True, slots=True)
class Removed:
    """Somebody else took SAs or policies out of the kernel: this SA, or whichever."""

    key: SaKey | None = None
    policies: bool = False


News: TypeAlias = Acquire | Expired | MappingChanged | Removed


def messages(octets: bytes | memoryview) -> Iterator[Message]:
    """The messages of one datagram."""
    view = memoryview(octets)
    while len(view) >= uapi.NLMSGHDR.size:
        size, kind, flags, sequence, _ = uapi.NLMSGHDR.unpack_from(view)
        if not uapi.NLMSGHDR.size <= size <= len(view):
            return
        yield Message(kind, flags, sequence, view[uapi.NLMSGHDR.size : size])
        view = view[size + -size % 4 :]


def answer_of(message: Message) -> Answer:
    """Of a message of type NLMSG_ERROR, or NLMSG_DONE."""
    error = -_INT.unpack_from(message.body)[0] if len(message.body) >= _INT.size else 0
    at = _INT.size + uapi.NLMSGHDR.size if message.kind == uapi.NLMSG_ERROR else _INT.size
    if message.kind == uapi.NLMSG_ERROR and not message.flags & uapi.NLM_F_CAPPED:
        at += _repeated(message)
    words = b""
    if message.flags & uapi.NLM_F_ACK_TLVS:
        words = bytes(_attributes(message.body[at:]).get(uapi.NLMSGERR_ATTR_MSG, b"")).rstrip(b"\0")
    return Answer(message.sequence, error, words.decode(errors="replace"))


def sa_of(body: memoryview) -> SaSeen | None:
    """Of XFRM_MSG_NEWSA; None: no ESP, or in a mode that is not ours."""
    if len(body) < uapi.USERSA_INFO.size:
        return None
    info = uapi.USERSA_INFO.unpack_from(body)
    return _sa_seen(info, _attributes(body[uapi.USERSA_INFO.size :]))


def policy_of(body: memoryview) -> PolicySeen | None:
    """Of XFRM_MSG_NEWPOLICY; None: of a kind that cannot be in our way, as those of sockets."""
    if len(body) < uapi.USERPOLICY_INFO.size:
        return None
    info = uapi.USERPOLICY_INFO.unpack_from(body)
    priority, index, direction, action = info[24:28]
    selector = _selector_of(info[:12])
    if selector is None or direction > Dir.FWD:
        return None
    attributes = _attributes(body[uapi.USERPOLICY_INFO.size :])
    template = _template_of(attributes.get(Attr.TMPL))
    lane = Lane(_number(attributes, Attr.IF_ID), _mark_of(attributes.get(Attr.MARK)))
    key = PolicyKey(Dir(direction), replace(selector, lane=lane) if lane != ANY_LANE else selector)
    what = Action.BLOCK if action == uapi.POLICY_BLOCK else Action.PASS if template is None else Action.PROTECT
    return PolicySeen(Policy(key, what, priority, template), index)


def news_of(message: Message) -> News | None:
    """What the kernel tells unasked, as far as it is for us."""
    body = message.body
    match message.kind:
        case Msg.ACQUIRE if len(body) >= uapi.USER_ACQUIRE.size:
            return _acquire_of(body)
        case Msg.EXPIRE if len(body) >= uapi.USER_EXPIRE.size:
            info = uapi.USERSA_INFO.unpack_from(body)
            hard = bool(uapi.USER_EXPIRE.unpack_from(body)[1])
            return Expired(SaKey(ip_of(info[12], info[33]), be32(info[13])), info[32], hard)
        case Msg.MAPPING if len(body) >= uapi.USER_MAPPING.size:
            fields = uapi.USER_MAPPING.unpack_from(body)
            destination, spi, net, _, reqid, _, source, _, port = fields
            key = SaKey(ip_of(destination, net), be32(spi))
            return MappingChanged(key, reqid, ip_of(source, net), be16(port))
        case _:
            return _removed_of(message)


def _removed_of(message: Message) -> Removed | None:
    body = message.body
    match message.kind:
        case Msg.DELSA if len(body) >= uapi.USERSA_ID.size:
            destination, spi, net, _ = uapi.USERSA_ID.unpack_from(body)
            return Removed(SaKey(ip_of(destination, net), be32(spi)))
        case Msg.FLUSHSA:
            return Removed()
        case Msg.DELPOLICY | Msg.FLUSHPOLICY:
            return Removed(policies=True)
        case _:
            return None


def keys_of(body: memoryview) -> tuple[memoryview, memoryview]:
    """Views of the keys in a XFRM_MSG_NEWSA: encryption with its salt, and integrity. Wiped with the buffer."""
    attributes = _attributes(body[uapi.USERSA_INFO.size :])
    encryption = attributes.get(Attr.ALG_CRYPT, _EMPTY)[uapi.ALGO.size :]
    if Attr.ALG_AEAD in attributes:
        encryption = attributes[Attr.ALG_AEAD][uapi.ALGO_SIZED.size :]
    return encryption, attributes.get(Attr.ALG_AUTH_TRUNC, _EMPTY)[uapi.ALGO_SIZED.size :]


def ip_of(octets: bytes, net: int) -> Ip:
    """Of `xfrm_address_t`."""
    return IPv4Address(octets[:4]) if net == uapi.AF_INET else IPv6Address(octets)


# --- parts ---------------------------------------------------------------------------------------------------------

_INT: Final = Struct("=i")
_NUMBER: Final = Struct("=I")
_EMPTY: Final = memoryview(b"")


def _repeated(message: Message) -> int:
    """Octets of what an answer repeats behind the header of what it answers."""
    (size,) = _NUMBER.unpack_from(message.body, _INT.size)
    return int(max(0, size - uapi.NLMSGHDR.size))


def _attributes(view: memoryview) -> Mapping[int, memoryview]:
    found: dict[int, memoryview] = {}
    while len(view) >= uapi.NLATTR.size:
        size, kind = uapi.NLATTR.unpack_from(view)
        if not uapi.NLATTR.size <= size <= len(view):
            break
        found[kind & uapi.NLA_TYPE_MASK] = view[uapi.NLATTR.size : size]
        view = view[size + -size % 4 :]
    return found


def _sa_seen(info: tuple[Any, ...], attributes: Mapping[int, memoryview]) -> SaSeen | None:
    to, spi, proto, from_ = info[12:16]
    octets, packets, _, used_at = info[24:28]
    reqid, net, mode, _, flags = info[32:37]
    if proto != uapi.IPPROTO_ESP or mode not in (uapi.XFRM_MODE_TUNNEL, uapi.XFRM_MODE_TRANSPORT) or not spi:
        return None  # without an SPI: asked for, and nobody made it
    window, counters = _counters_of(attributes)
    direction = attributes.get(Attr.SA_DIR)
    suite, hidden = _suite_of(attributes, esn=bool(flags & uapi.SaFlag.ESN))
    sa = Sa(
        inbound=window > 1 if direction is None else direction[0] == uapi.SA_DIR_IN,
        spi=be32(spi),
        source=ip_of(from_, net),
        destination=ip_of(to, net),
        reqid=reqid,
        suite=suite,
        encap=_encap_of(attributes.get(Attr.ENCAP)),
        volumes=_volumes_of(info[16:20]),
        interface=_number(attributes, Attr.IF_ID),
        mark=_mark_of(attributes.get(Attr.MARK)),
        output_mark=_output_mark_of(attributes),
        transport_mode=mode == uapi.XFRM_MODE_TRANSPORT,
    )
    return SaSeen(sa, counters, packets, octets, used_at, hidden)


def _volumes_of(limits: tuple[int, ...]) -> Volumes:
    soft_bytes, hard_bytes, soft_packets, hard_packets = (0 if limit == uapi.XFRM_INF else limit for limit in limits)
    return Volumes(soft_bytes, soft_packets, hard_bytes, hard_packets)


def _counters_of(attributes: Mapping[int, memoryview]) -> tuple[int, Counters]:
    """The size of the window, and what was counted."""
    long, short = attributes.get(Attr.REPLAY_ESN_VAL, _EMPTY), attributes.get(Attr.REPLAY_VAL, _EMPTY)
    if len(long) >= uapi.REPLAY_ESN.size:
        words, sent, received, sent_high, received_high, window = uapi.REPLAY_ESN.unpack_from(long)
        words = min(words, (len(long) - uapi.REPLAY_ESN.size) // 4)
        seen = Struct(f"={words}I").unpack_from(long, uapi.REPLAY_ESN.size)
        return window, Counters(sent_high << 32 | sent, received_high << 32 | received, seen if any(seen) else ())
    if len(short) >= uapi.REPLAY_STATE.size:
        sent, received, bitmap = uapi.REPLAY_STATE.unpack_from(short)
        return 32, Counters(sent, received, (bitmap,) if bitmap else ())
    return 0, Counters()


def _suite_of(attributes: Mapping[int, memoryview], *, esn: bool) -> tuple[Suite, bool]:
    """The suite, and whether its keys are hidden: shown as zeros."""
    aead = cipher = integrity = None
    hidden = False
    if len(found := attributes.get(Attr.ALG_AEAD, _EMPTY)) >= uapi.ALGO_SIZED.size:
        name, bits, icv = uapi.ALGO_SIZED.unpack_from(found)
        aead = Aead(_text(name), bits // 8, icv // 8)
        hidden = not any(found[uapi.ALGO_SIZED.size :])
    if len(found := attributes.get(Attr.ALG_CRYPT, _EMPTY)) >= uapi.ALGO.size:
        name, bits = uapi.ALGO.unpack_from(found)
        cipher = Cipher(_text(name), bits // 8)
        hidden = not any(found[uapi.ALGO.size :])
    if len(found := attributes.get(Attr.ALG_AUTH_TRUNC, _EMPTY)) >= uapi.ALGO_SIZED.size:
        name, bits, icv = uapi.ALGO_SIZED.unpack_from(found)
        integrity = Integrity(_text(name), bits // 8, icv // 8)
    return suite_named(aead, cipher, integrity, esn=esn), hidden


def _text(name: bytes) -> str:
    return name.split(b"\0", 1)[0].decode("ascii", "replace")


def _encap_of(value: memoryview | None) -> Encap | None:
    if value is None or len(value) < uapi.ENCAP_TMPL.size:
        return None
    kind, source, destination, _ = uapi.ENCAP_TMPL.unpack_from(value)
    return Encap(be16(source), be16(destination)) if kind == uapi.UDP_ENCAP_ESPINUDP else None


def _mark_of(value: memoryview | None) -> Mark | None:
    return None if value is None or len(value) < uapi.MARK.size else Mark(*uapi.MARK.unpack_from(value))


def _output_mark_of(attributes: Mapping[int, memoryview]) -> Mark | None:
    value = _number(attributes, Attr.SET_MARK)
    return Mark(value, _number(attributes, Attr.SET_MARK_MASK)) if value else None


def _number(attributes: Mapping[int, memoryview], kind: Attr) -> int:
    value = attributes.get(kind, _EMPTY)
    return int(_NUMBER.unpack_from(value)[0]) if len(value) >= _NUMBER.size else 0


def _template_of(value: memoryview | None) -> Template | None:
    """Of the first one; ours have no more."""
    if value is None or len(value) < uapi.USER_TMPL.size:
        return None
    to, _, _, net, from_, reqid, mode, *_ = uapi.USER_TMPL.unpack_from(value)
    source, destination = ip_of(from_, net), ip_of(to, net)
    return Template(
        reqid,
        None if source.is_unspecified else source,
        None if destination.is_unspecified else destination,
        mode == uapi.XFRM_MODE_TRANSPORT,
    )


def _selector_of(fields: tuple[Any, ...]) -> Selector | None:
    to, from_, dport, dport_mask, sport, sport_mask, net, to_bits, from_bits, proto, _, _ = fields
    try:
        source, destination = _network(from_, net, from_bits), _network(to, net, to_bits)
    except ValueError:
        return None
    return Selector(
        source, destination, proto, Ports(be16(sport), be16(sport_mask)), Ports(be16(dport), be16(dport_mask))
    )


def _network(octets: bytes, net: int, bits: int) -> Network:
    return ip_network((ip_of(octets, net), bits), strict=False)


def _acquire_of(body: memoryview) -> Acquire | None:
    fields = uapi.USER_ACQUIRE.unpack_from(body)
    selector = _selector_of(fields[4:16])
    template = _template_of(_attributes(body[uapi.USER_ACQUIRE.size :]).get(Attr.TMPL))
    return None if selector is None or template is None else Acquire(template.reqid, selector)
