"""Operations to octets. Pure. What is the same for many SAs is packed once, and copied.

Keys are written by their owner straight into the buffer; whoever sends the buffer wipes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final, Protocol, TypeAlias

from mobike.address import Ip
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.selectors import ANY_LANE, ANY_PORT, Mark, Ports, Selector
from mobike.dataplane.xfrm.state import (
    REPLAY_WINDOW,
    Action,
    Counters,
    Encap,
    Policy,
    PolicyKey,
    Sa,
    SaSeen,
    Template,
)
from mobike.dataplane.xfrm.suites import Suite
from mobike.dataplane.xfrm.uapi import Attr, Dir, Msg, SaFlag, be16, be32

_About: TypeAlias = tuple[bytes, int, Dir, int]
"""Of a policy: selector, priority, direction, action."""
_Tmpl: TypeAlias = tuple[int, int, bytes, int, int, bytes, int, int, int, int, int]
_Shape: TypeAlias = tuple[Suite, bool, bool, tuple[int, Mark | None, Mark | None], bool, bool]
"""Of an SA, what its message depends on: suite, inbound, encapsulated, interface and marks, direction said, transport
mode."""

NOWHERE: Final = bytes(16)
_REQUEST: Final = uapi.NLM_F_REQUEST
_WORDS: Final = REPLAY_WINDOW // 32
_LOW: Final = 0xFFFF_FFFF

ANCHOR: Final = b"\xc0\x00\x00\x08"
"""192.0.0.8, the address of nobody (RFC 7600): no packet goes from it to itself."""


class Keys(Protocol):
    """Who can write the keys of one SA into a buffer: encryption with its salt, and integrity if there is any."""

    def __call__(self, buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None: ...


def no_keys(buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None:
    """Zeros, where the kernel looks at the lengths alone."""


class Batch:
    """Messages for one send. `wipe` it afterwards."""

    def __init__(self, *, first: int = 1, knows_direction: bool, port: int = 0) -> None:
        """`first`: number of the first message. `knows_direction`: SAs say which way they go (since Linux 6.10).
        `port`: by what the kernel names us when it tells others what we did."""
        self.buffer = bytearray()
        self.first = first
        self.owner = 0
        """What the messages that follow are for."""
        self.owners: list[int] = []
        """Of each message."""
        self.knows_direction = knows_direction
        self.port = port
        self._last = 0

    def wipe(self) -> None:
        """Overwrite and forget what was written."""
        self.buffer[:] = bytes(len(self.buffer))
        self.buffer.clear()
        self.owners.clear()

    def ask_for_answer(self) -> None:
        """The last message is answered even if all is well. Those before are answered in order if something is not."""
        at = self._last + _FLAGS_AT
        (flags,) = _FLAGS.unpack_from(self.buffer, at)
        _FLAGS.pack_into(self.buffer, at, flags | uapi.NLM_F_ACK)

    def new_sa(self, sa: Sa, keys: Keys, counters: Counters | None = None, *, carried: SaSeen | None = None) -> None:
        """XFRM_MSG_NEWSA. `carried`: as this one was seen, packets and octets are counted on."""
        self._sa(Msg.NEWSA, sa, keys, counters)
        if carried is not None:
            life = uapi.LIFETIME_CUR.pack(carried.octets, carried.packets, carried.used_at, carried.used_at)
            self.buffer += _attribute(Attr.LTIME_VAL, life)
            _LENGTH.pack_into(self.buffer, self._last, len(self.buffer) - self._last)

    def update_sa(self, sa: Sa) -> None:
        """XFRM_MSG_UPDSA: of an SA in use the kernel takes ports and limits, and no keys."""
        self._sa(Msg.UPDSA, sa, no_keys, None)

    def get_sa(self, sa: Sa) -> None:
        """XFRM_MSG_GETSA."""
        self._sa_id(Msg.GETSA, sa)

    def delete_sa(self, sa: Sa) -> None:
        """XFRM_MSG_DELSA."""
        self._sa_id(Msg.DELSA, sa)

    def advance(self, sa: Sa, counters: Counters) -> None:
        """XFRM_MSG_NEWAE: other counters."""
        body = uapi.AEVENT_ID.pack(
            packed(sa.destination), be32(sa.spi), family(sa.destination), uapi.IPPROTO_ESP, packed(sa.source),
            uapi.AE_REPLAY, sa.reqid,
        )  # fmt: skip
        attributes = _attribute(Attr.REPLAY_ESN_VAL, _replay(sa.inbound, counters, self.knows_direction))
        self._append(Msg.NEWAE, uapi.NLM_F_REPLACE, body, attributes + _mark(Attr.MARK, sa.mark))

    def migrate_state(self, was: Sa, sa: Sa) -> None:
        """XFRM_MSG_MIGRATE_STATE: the selector stays empty, as `new_sa` makes it."""
        mark = was.mark or Mark(0, 0)
        body = uapi.MIGRATE_STATE.pack(
            packed(was.destination), be32(was.spi), family(was.destination), uapi.IPPROTO_ESP,
            packed(sa.destination), packed(sa.source), mark.value, mark.mask, *_NO_SELECTOR,
            sa.reqid, 0, family(sa.destination), 0,
        )  # fmt: skip
        encap = _encap(sa.encap) if sa.encap else uapi.ENCAP_TMPL.pack(0, 0, 0, NOWHERE)
        attributes = _attribute(Attr.ENCAP, encap) if sa.encap or was.encap else b""
        self._append(Msg.MIGRATE_STATE, 0, body, attributes)

    def migrate(self, was: Sa, sa: Sa) -> None:
        """XFRM_MSG_MIGRATE of one SA. It wants a policy that names the SA: one is made for it, and goes afterwards."""
        direction = Dir.IN if was.inbound else Dir.OUT
        interface = _number(Attr.IF_ID, was.interface) if was.interface else b""
        template = _template(Template(was.reqid, was.source, was.destination))
        about = (_ANCHOR_SELECTOR, 1, direction, uapi.POLICY_ALLOW)
        self._put(Msg.UPDPOLICY, about, _TEMPLATE.pack(*template) + interface)
        step = uapi.USER_MIGRATE.pack(
            packed(was.destination), packed(was.source), packed(sa.destination), packed(sa.source), uapi.IPPROTO_ESP,
            uapi.XFRM_MODE_TUNNEL, 0, was.reqid, family(was.destination), family(sa.destination),
        )  # fmt: skip
        encap = _attribute(Attr.ENCAP, _encap(sa.encap)) if sa.encap else b""
        name = _policy_id(_ANCHOR_SELECTOR, direction)
        self._append(Msg.MIGRATE, 0, name, _attribute(Attr.MIGRATE, step) + encap + interface)
        self._append(Msg.DELPOLICY, 0, name, interface)

    def put_policy(self, policy: Policy, *, fresh: bool) -> None:
        """XFRM_MSG_NEWPOLICY, which refuses where one of that key is, or XFRM_MSG_UPDPOLICY, which replaces it."""
        key, template, what = policy.key, policy.template, Msg.NEWPOLICY if fresh else Msg.UPDPOLICY
        scope = b"" if key.selector.lane is ANY_LANE else _policy_scope(key)
        selector = selector_octets(key.selector)
        action = uapi.POLICY_BLOCK if policy.action is Action.BLOCK else uapi.POLICY_ALLOW
        if template is None:
            self._put(what, (selector, policy.priority, key.direction, action), scope)
            return
        buffer = self.buffer
        self._last = len(buffer)
        buffer += _PROTECTING.pack(
            _PROTECTING.size + len(scope), what, _REQUEST, self._next(), self.port, selector, _NEVER, policy.priority,
            key.direction, action, *_template(template, key.selector.source.version),
        )  # fmt: skip
        buffer += scope

    def delete_policy(self, key: PolicyKey) -> None:
        """XFRM_MSG_DELPOLICY."""
        self._append(Msg.DELPOLICY, 0, _policy_id(selector_octets(key.selector), key.direction), _policy_scope(key))

    def dump(self, what: Msg) -> None:
        """All SAs (GETSA) or all policies (GETPOLICY)."""
        self._append(what, uapi.NLM_F_DUMP, b"", b"")

    def allocate_spi(self, sa: Sa, low: int, high: int) -> None:
        """XFRM_MSG_ALLOCSPI: the kernel chooses an SPI that nobody has, and keeps it for some seconds."""
        info = _SA.pack(
            0, 0, 0, 0, 0, packed(sa.destination), be32(sa.spi), uapi.IPPROTO_ESP, packed(sa.source), *(INFINITE,) * 4,
            sa.reqid, family(sa.destination), _mode(sa.transport_mode), 0, 0,
        )  # fmt: skip
        self._append(Msg.ALLOCSPI, 0, uapi.USERSPI_INFO.pack(info[uapi.NLMSGHDR.size :], low, high), b"")

    def raw(self, what: int, flags: int, body: bytes, attributes: bytes) -> None:
        """Any message; for probes."""
        self._append(what, flags, body, attributes)

    @property
    def number(self) -> int:
        """Of the next message."""
        return self.first + len(self.owners)

    def append(self, octets: bytes, starts: Sequence[int]) -> int:
        """Messages that are written already, with the next numbers; each is for an owner of its own. Where they are."""
        at = len(self.buffer)
        self.buffer += octets
        self._last = at + starts[-1]
        self.owners += range(self.owner, self.owner + len(starts))
        return at

    def _append(self, what: int, flags: int, body: bytes, attributes: bytes) -> None:
        self._last = len(self.buffer)
        # Bodies end on four octets, where attributes begin; of the sizes in `uapi` all do.
        size = uapi.NLMSGHDR.size + len(body) + len(attributes)
        self.buffer += uapi.NLMSGHDR.pack(size, what, flags | _REQUEST, self._next(), self.port)
        self.buffer += body
        self.buffer += attributes

    def _put(self, what: Msg, about: _About, attributes: bytes) -> None:
        self._last = len(self.buffer)
        selector, priority, direction, action = about
        size = _POLICY.size + len(attributes)
        self.buffer += _POLICY.pack(
            size, what, _REQUEST, self._next(), self.port, selector, _NEVER, priority, direction, action
        )
        self.buffer += attributes

    def _next(self) -> int:
        self.owners.append(self.owner)
        return self.first + len(self.owners) - 1

    def _sa_id(self, what: Msg, sa: Sa) -> None:
        body = uapi.USERSA_ID.pack(packed(sa.destination), be32(sa.spi), family(sa.destination), uapi.IPPROTO_ESP)
        self._append(what, 0, body, _mark(Attr.MARK, sa.mark))

    def _sa(self, what: Msg, sa: Sa, keys: Keys, counters: Counters | None) -> None:
        encap, volumes, to = sa.encap, sa.volumes, sa.destination
        form = sa_form(sa, knows_direction=self.knows_direction)
        buffer = self.buffer
        start = self._last = len(buffer)
        buffer += _SA.pack(
            form.size, what, _REQUEST, self._next(), self.port, packed(to), be32(sa.spi), uapi.IPPROTO_ESP,
            packed(sa.source), volumes.soft_bytes or INFINITE, volumes.hard_bytes or INFINITE,
            volumes.soft_packets or INFINITE, volumes.hard_packets or INFINITE, sa.reqid, family(to), form.mode, 0,
            form.flags,
        )  # fmt: skip
        buffer += form.attributes
        if encap is not None:
            _PORTS.pack_into(buffer, start + form.encap_at, be16(encap.source_port), be16(encap.destination_port))
        if counters is not None:
            octets = _replay(sa.inbound, counters, self.knows_direction)
            buffer[start + form.replay_at : start + form.replay_at + len(octets)] = octets
        keys(buffer, start + form.encryption_at, None if form.integrity_at is None else start + form.integrity_at)


def sa_form(sa: Sa, *, knows_direction: bool) -> "SaForm":
    """Where in its message the rest goes."""
    marks = (sa.interface, sa.mark, sa.output_mark)
    return _form((sa.suite, sa.inbound, sa.encap is not None, marks, knows_direction, sa.transport_mode))


def family(ip: Ip) -> int:
    return uapi.AF_INET if ip.version == 4 else uapi.AF_INET6


def packed(ip: Ip | None) -> bytes:
    """As `xfrm_address_t`."""
    if ip is None:
        return NOWHERE
    octets = ip.packed
    return octets if len(octets) == 16 else octets + _TWELVE


def with_sent(counters: Counters, jump: int, *, esn: bool) -> Counters:
    """`counters` with packets more that count as sent. ValueError: there are not so many numbers left."""
    sent = counters.sent + jump
    if sent >= 2 ** (64 if esn else 32) - 1:
        raise ValueError("no sequence numbers are left")
    return Counters(sent, counters.received, counters.window)


# --- parts ---------------------------------------------------------------------------------------------------------

_TWELVE: Final = bytes(12)
_FLAGS: Final = Struct("=H")
_LENGTH: Final = Struct("=I")
_FLAGS_AT: Final = 6
"""flags of `nlmsghdr`"""
INFINITE: Final = uapi.XFRM_INF
_SA: Final = Struct(f"{uapi.NLMSGHDR.format}{uapi.SELECTOR.size}x16sIB3x16s4Q80xIHBBB7x")
"""A header with `usersa_info`: destination, SPI, proto, source, limits of volume, reqid, family, mode, window, flags;
the rest is zero."""
_POLICY: Final = Struct(f"{uapi.NLMSGHDR.format}{uapi.SELECTOR.size}s64s32xI4xBB6x")
"""A header with `userpolicy_info`: selector, limits, priority, direction, action; the rest is zero."""
_TEMPLATE: Final = Struct("=HH16s4xB3xH2x16sIB3xIII")
"""`user_tmpl` as an attribute: destination, proto, family, source, reqid, mode, algorithms; the rest is zero."""
_PROTECTING: Final = Struct(_POLICY.format + _TEMPLATE.format[1:])
_TEMPLATE_SIZE: Final = _TEMPLATE.size
_TMPL: Final = int(Attr.TMPL)
_ESP: Final = uapi.IPPROTO_ESP
_PORTS: Final = Struct("=HH")
_INDEX: Final = Struct("=IB3x")
"""index and direction of `userpolicy_id`, behind its selector"""
_ANY: Final = (uapi.NO_ALGORITHM_LIMIT,) * 3
_SELECTOR: Final = Struct("=16s16s4s4sHBBB3x4x4x")
"""`xfrm_selector`: destination, source, their ports with masks, family, lengths of the prefixes, protocol; the rest is
zero."""
_VALUE_MASK: Final = Struct(">HH")
_NO_PORTS: Final = bytes(_VALUE_MASK.size)
_NO_SELECTOR: Final = (NOWHERE, NOWHERE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_ANCHOR_SELECTOR: Final = uapi.SELECTOR.pack(
    ANCHOR + _TWELVE, ANCHOR + _TWELVE, 0, 0, 0, 0, uapi.AF_INET, 32, 32, 0, 0, 0
)
_NEVER: Final = Struct("=8Q").pack(*(INFINITE,) * 4, *(0,) * 4)
"""Limits that are none."""

for _struct, _size in (
    (_SA, uapi.NLMSGHDR.size + uapi.USERSA_INFO.size),
    (_POLICY, uapi.NLMSGHDR.size + uapi.USERPOLICY_INFO.size),
    (_TEMPLATE, uapi.NLATTR.size + uapi.USER_TMPL.size),
    (_SELECTOR, uapi.SELECTOR.size),
):
    if _struct.size != _size:
        raise AssertionError(f"{_struct.format} has {_struct.size} octets, and the kernel's has {_size}")


@dataclass(frozen=True, slots=True)
class SaForm:
    """What messages about many SAs have in common, and where in them the rest goes."""

    attributes: bytes
    size: int
    """Of the whole message."""
    mode: int
    flags: int
    encap_at: int
    replay_at: int
    encryption_at: int
    integrity_at: int | None


@lru_cache(maxsize=1024)
def _form(shape: _Shape) -> SaForm:
    suite, inbound, encap, (interface, mark, output_mark), knows_direction, transport_mode = shape
    # Of a tunnel the packets inside may be of either family; in transport mode the kernel does not take that flag.
    flags = (0 if transport_mode else SaFlag.AF_UNSPEC) | (SaFlag.ESN if suite.esn else 0)
    octets = bytearray()
    places: dict[str, int] = {}

    def put(name: str, kind: Attr, value: bytes, ahead: int = 0) -> None:
        places[name] = _SA.size + len(octets) + uapi.NLATTR.size + ahead
        octets.extend(_attribute(kind, value))

    if suite.aead is not None:
        head = uapi.ALGO_SIZED.pack(suite.aead.name.encode(), suite.aead.key * 8, suite.aead.icv * 8)
        put("encryption", Attr.ALG_AEAD, head + bytes(suite.aead.key), len(head))
    if suite.integrity is not None:
        integrity = suite.integrity
        head = uapi.ALGO_SIZED.pack(integrity.name.encode(), integrity.key * 8, integrity.icv * 8)
        put("integrity", Attr.ALG_AUTH_TRUNC, head + bytes(integrity.key), len(head))
    if suite.cipher is not None:
        head = uapi.ALGO.pack(suite.cipher.name.encode(), suite.cipher.key * 8)
        put("encryption", Attr.ALG_CRYPT, head + bytes(suite.cipher.key), len(head))
    if encap:
        put("encap", Attr.ENCAP, _encap(Encap(0, 0)), 2)
    put("replay", Attr.REPLAY_ESN_VAL, _replay(inbound, Counters(), knows_direction))
    octets += _mark(Attr.MARK, mark)
    if output_mark is not None:
        octets += _number(Attr.SET_MARK, output_mark.value)
        octets += _number(Attr.SET_MARK_MASK, output_mark.mask)
    if interface:
        octets += _number(Attr.IF_ID, interface)
    if knows_direction:
        octets += _attribute(Attr.SA_DIR, bytes([uapi.SA_DIR_IN if inbound else uapi.SA_DIR_OUT]))
    return SaForm(
        bytes(octets), _SA.size + len(octets), _mode(transport_mode), flags, places.get("encap", 0), places["replay"],
        places["encryption"], places.get("integrity"),
    )  # fmt: skip


def _mode(transport_mode: bool) -> int:
    return uapi.XFRM_MODE_TRANSPORT if transport_mode else uapi.XFRM_MODE_TUNNEL


def _replay(inbound: bool, counters: Counters, knows_direction: bool) -> bytes:
    """The window of what is received, and none of what is sent; kernels that know no direction want one nonetheless."""
    if inbound:
        words, window = _WORDS, REPLAY_WINDOW
    else:
        words, window = (0, 0) if knows_direction else (1, 1)
    seen = (*counters.window[:words], *(0,) * (words - len(counters.window)))
    head = uapi.REPLAY_ESN.pack(
        words, counters.sent & _LOW, counters.received & _LOW, counters.sent >> 32, counters.received >> 32, window
    )
    return head + Struct(f"={words}I").pack(*seen)


@lru_cache(maxsize=4096)
def selector_octets(selector: Selector) -> bytes:
    """As `xfrm_selector`."""
    source, destination = selector.source, selector.destination
    octets = source.network_address.packed
    return _SELECTOR.pack(
        destination.network_address.packed, octets, _ports(selector.destination_ports), _ports(selector.source_ports),
        uapi.AF_INET if len(octets) == 4 else uapi.AF_INET6, destination.prefixlen, source.prefixlen,
        selector.protocol,
    )  # fmt: skip


def _ports(ports: Ports) -> bytes:
    return _NO_PORTS if ports is ANY_PORT else _VALUE_MASK.pack(ports.value, ports.mask)


def _policy_id(selector: bytes, direction: Dir) -> bytes:
    return selector + _INDEX.pack(0, direction)


def _policy_scope(key: PolicyKey) -> bytes:
    return _mark(Attr.MARK, key.mark) + (_number(Attr.IF_ID, key.interface) if key.interface else b"")


def _template(template: Template, version: int = 4) -> _Tmpl:
    """For `_TEMPLATE`. `version`: of the packets, which in transport mode must be that of the SA, wherever it ends."""
    source, destination = template.source, template.destination
    where = destination or source
    if where is None:
        net = uapi.AF_INET6 if template.transport_mode and version == 6 else uapi.AF_INET
        return _TEMPLATE_SIZE, _TMPL, NOWHERE, _ESP, net, NOWHERE, template.reqid, _mode(template.transport_mode), *_ANY
    return (
        _TEMPLATE_SIZE, _TMPL, packed(destination), _ESP, family(where), packed(source), template.reqid,
        _mode(template.transport_mode), *_ANY,
    )  # fmt: skip


def _encap(encap: Encap) -> bytes:
    return uapi.ENCAP_TMPL.pack(uapi.UDP_ENCAP_ESPINUDP, be16(encap.source_port), be16(encap.destination_port), NOWHERE)


def _mark(kind: Attr, mark: Mark | None) -> bytes:
    return b"" if mark is None else _attribute(kind, uapi.MARK.pack(mark.value, mark.mask))


def _number(kind: Attr, value: int) -> bytes:
    return _attribute(kind, _NUMBER.pack(value))


_NUMBER: Final = Struct("=I")


def _attribute(kind: int, value: bytes) -> bytes:
    size = uapi.NLATTR.size + len(value)
    return uapi.NLATTR.pack(size, kind) + value + bytes(-size % 4)
