"""Operations to octets. Pure. What is the same for many SAs is packed once, and copied.

Keys are written by their owner straight into the buffer; whoever sends the buffer wipes it.
"""

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple, Protocol

from mobike.address import Ip
from mobike.dataplane.operations import Volumes
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import (
    REPLAY_WINDOW,
    UNLIMITED,
    Action,
    Counters,
    Encap,
    Mark,
    Policy,
    PolicyKey,
    Sa,
    SaSeen,
    Template,
)
from mobike.dataplane.xfrm.suites import Suite
from mobike.dataplane.xfrm.uapi import Attr, Dir, Msg, SaFlag, be16, be32

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

    def __init__(self, *, first: int = 1, knows_direction: bool) -> None:
        """`first`: number of the first message. `knows_direction`: SAs say which way they go (since Linux 6.10)."""
        self.buffer = bytearray()
        self.first = first
        self.owner = 0
        """What the messages that follow are for."""
        self.owners: list[int] = []
        """Of each message."""
        self._knows_direction = knows_direction
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
        attributes = _attribute(Attr.REPLAY_ESN_VAL, _replay(sa.inbound, counters, self._knows_direction))
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
        anchor = _policy_info(_ANCHOR_SELECTOR, uapi.POLICY_ALLOW, direction, 1)
        self._append(Msg.UPDPOLICY, 0, anchor, _attribute(Attr.TMPL, template) + interface)
        step = uapi.USER_MIGRATE.pack(
            packed(was.destination), packed(was.source), packed(sa.destination), packed(sa.source), uapi.IPPROTO_ESP,
            uapi.XFRM_MODE_TUNNEL, 0, was.reqid, family(was.destination), family(sa.destination),
        )  # fmt: skip
        encap = _attribute(Attr.ENCAP, _encap(sa.encap)) if sa.encap else b""
        name = uapi.USERPOLICY_ID.pack(*_ANCHOR_SELECTOR, 0, direction)
        self._append(Msg.MIGRATE, 0, name, _attribute(Attr.MIGRATE, step) + encap + interface)
        self._append(Msg.DELPOLICY, 0, name, interface)

    def put_policy(self, policy: Policy, *, fresh: bool) -> None:
        """XFRM_MSG_NEWPOLICY, which refuses where one of that key is, or XFRM_MSG_UPDPOLICY, which replaces it."""
        body, attributes = _policy(policy)
        self._append(Msg.NEWPOLICY if fresh else Msg.UPDPOLICY, 0, body, attributes)

    def delete_policy(self, key: PolicyKey) -> None:
        """XFRM_MSG_DELPOLICY."""
        body = uapi.USERPOLICY_ID.pack(*_selector(key.selector), 0, key.direction)
        self._append(Msg.DELPOLICY, 0, body, _policy_scope(key))

    def dump(self, what: Msg) -> None:
        """All SAs (GETSA) or all policies (GETPOLICY)."""
        self._append(what, uapi.NLM_F_DUMP, b"", b"")

    def allocate_spi(self, sa: Sa, low: int, high: int) -> None:
        """XFRM_MSG_ALLOCSPI: the kernel chooses an SPI that nobody has, and keeps it for some seconds."""
        info = bytearray(uapi.USERSA_INFO.size)
        _fill_sa_info(info, 0, sa, UNLIMITED, flags=0, mode=_mode(sa.transport_mode))
        self._append(Msg.ALLOCSPI, 0, uapi.USERSPI_INFO.pack(bytes(info), low, high), b"")

    def raw(self, what: int, flags: int, body: bytes, attributes: bytes) -> None:
        """Any message; for probes."""
        self._append(what, flags, body, attributes)

    def _append(self, what: int, flags: int, body: bytes, attributes: bytes) -> None:
        self._last = len(self.buffer)
        # Bodies end on four octets, where attributes begin; of the sizes in `uapi` all do.
        size = uapi.NLMSGHDR.size + len(body) + len(attributes)
        self.buffer += uapi.NLMSGHDR.pack(size, what, flags | _REQUEST, self._next(), 0)
        self.buffer += body
        self.buffer += attributes

    def _next(self) -> int:
        self.owners.append(self.owner)
        return self.first + len(self.owners) - 1

    def _sa_id(self, what: Msg, sa: Sa) -> None:
        body = uapi.USERSA_ID.pack(packed(sa.destination), be32(sa.spi), family(sa.destination), uapi.IPPROTO_ESP)
        self._append(what, 0, body, _mark(Attr.MARK, sa.mark))

    def _sa(self, what: Msg, sa: Sa, keys: Keys, counters: Counters | None) -> None:
        encap = sa.encap is not None
        form = _form(
            _Shape(
                sa.suite,
                sa.inbound,
                encap,
                sa.volumes,
                sa.interface,
                sa.mark,
                sa.output_mark,
                self._knows_direction,
                sa.transport_mode,
            )
        )
        start = self._last = len(self.buffer)
        self.buffer += form.octets
        destination, source = packed(sa.destination), packed(sa.source)
        uapi.NLMSGHDR.pack_into(self.buffer, start, len(form.octets), what, _REQUEST, self._next(), 0)
        _ADDRESSES.pack_into(self.buffer, start + _ADDRESSES_AT, destination, be32(sa.spi), uapi.IPPROTO_ESP, source)
        _NAMES.pack_into(self.buffer, start + _NAMES_AT, sa.reqid, family(sa.destination))
        if sa.encap is not None:
            _PORTS.pack_into(
                self.buffer, start + form.encap_at, be16(sa.encap.source_port), be16(sa.encap.destination_port)
            )
        if counters is not None:
            octets = _replay(sa.inbound, counters, self._knows_direction)
            self.buffer[start + form.replay_at : start + form.replay_at + len(octets)] = octets
        integrity_at = None if form.integrity_at is None else start + form.integrity_at
        keys(self.buffer, start + form.encryption_at, integrity_at)


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
_ADDRESSES: Final = Struct("=16sIB3x16s")
_ADDRESSES_AT: Final = uapi.NLMSGHDR.size + uapi.SELECTOR.size
"""destination, SPI, proto, source of `usersa_info`"""
_NAMES: Final = Struct("=IH")
_NAMES_AT: Final = uapi.NLMSGHDR.size + 208
"""reqid and family of `usersa_info`"""
_PORTS: Final = Struct("=HH")
_NO_SELECTOR: Final = (NOWHERE, NOWHERE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_ANCHOR_SELECTOR: Final = (ANCHOR + _TWELVE, ANCHOR + _TWELVE, 0, 0, 0, 0, uapi.AF_INET, 32, 32, 0, 0, 0)
_NEVER: Final = (uapi.XFRM_INF,) * 4 + (0,) * 4
_NOTHING_YET: Final = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Form:
    """A message about an SA, but for what differs from SA to SA."""

    octets: bytes
    encap_at: int
    replay_at: int
    encryption_at: int
    integrity_at: int | None


class _Shape(NamedTuple):
    """What many SAs have in common."""

    suite: Suite
    inbound: bool
    encap: bool
    volumes: Volumes
    interface: int
    mark: Mark | None
    output_mark: Mark | None
    knows_direction: bool
    transport_mode: bool


@lru_cache(maxsize=1024)
def _form(shape: _Shape) -> _Form:
    suite = shape.suite
    info = bytearray(uapi.NLMSGHDR.size + uapi.USERSA_INFO.size)
    # Of a tunnel the packets inside may be of either family; in transport mode the kernel does not take that flag.
    flags = (0 if shape.transport_mode else SaFlag.AF_UNSPEC) | (SaFlag.ESN if suite.esn else 0)
    _fill_sa_info(info, uapi.NLMSGHDR.size, None, shape.volumes, flags=flags, mode=_mode(shape.transport_mode))
    octets = info
    places: dict[str, int] = {}

    def put(name: str, kind: Attr, value: bytes, ahead: int = 0) -> None:
        places[name] = len(octets) + uapi.NLATTR.size + ahead
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
    if shape.encap:
        put("encap", Attr.ENCAP, _encap(Encap(0, 0)), 2)
    put("replay", Attr.REPLAY_ESN_VAL, _replay(shape.inbound, Counters(), shape.knows_direction))
    octets += _mark(Attr.MARK, shape.mark)
    if shape.output_mark is not None:
        octets += _number(Attr.SET_MARK, shape.output_mark.value)
        octets += _number(Attr.SET_MARK_MASK, shape.output_mark.mask)
    if shape.interface:
        octets += _number(Attr.IF_ID, shape.interface)
    if shape.knows_direction:
        octets += _attribute(Attr.SA_DIR, bytes([uapi.SA_DIR_IN if shape.inbound else uapi.SA_DIR_OUT]))
    return _Form(bytes(octets), places.get("encap", 0), places["replay"], places["encryption"], places.get("integrity"))


def _mode(transport_mode: bool) -> int:
    return uapi.XFRM_MODE_TRANSPORT if transport_mode else uapi.XFRM_MODE_TUNNEL


def _fill_sa_info(buffer: bytearray, at: int, sa: Sa | None, volumes: Volumes, *, flags: int, mode: int) -> None:
    where = (NOWHERE, 0, 0, NOWHERE) if sa is None else (
        packed(sa.destination), be32(sa.spi), uapi.IPPROTO_ESP, packed(sa.source)
    )  # fmt: skip
    reqid, net = (0, 0) if sa is None else (sa.reqid, family(sa.destination))
    limits = (volumes.soft_bytes, volumes.hard_bytes, volumes.soft_packets, volumes.hard_packets)
    uapi.USERSA_INFO.pack_into(
        buffer, at, *_NO_SELECTOR, *where, *(limit or uapi.XFRM_INF for limit in limits), 0, 0, 0, 0, *_NOTHING_YET,
        0, 0, 0, 0, reqid, net, mode, 0, flags,
    )  # fmt: skip


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
def _selector(
    selector: Selector,
) -> tuple[bytes, bytes, int, int, int, int, int, int, int, int, int, int]:
    source, destination = selector.source, selector.destination
    to, from_ = selector.destination_ports, selector.source_ports
    return (
        packed(destination.network_address), packed(source.network_address), be16(to.value), be16(to.mask),
        be16(from_.value), be16(from_.mask), family(source.network_address), destination.prefixlen,
        source.prefixlen, selector.protocol, 0, 0,
    )  # fmt: skip


def _policy(policy: Policy) -> tuple[bytes, bytes]:
    action = uapi.POLICY_BLOCK if policy.action is Action.BLOCK else uapi.POLICY_ALLOW
    body = _policy_info(_selector(policy.key.selector), action, policy.key.direction, policy.priority)
    net = family(policy.key.selector.source.network_address)
    template = b"" if policy.template is None else _attribute(Attr.TMPL, _template(policy.template, net))
    return body, template + _policy_scope(policy.key)


def _policy_info(
    selector: tuple[bytes, bytes, int, int, int, int, int, int, int, int, int, int], action: int, direction: Dir,
    priority: int,
) -> bytes:  # fmt: skip
    return uapi.USERPOLICY_INFO.pack(*selector, *_NEVER, *_NOTHING_YET, priority, 0, direction, action, 0, 0)


def _policy_scope(key: PolicyKey) -> bytes:
    return _mark(Attr.MARK, key.mark) + (_number(Attr.IF_ID, key.interface) if key.interface else b"")


def _template(template: Template, of_packets: int = uapi.AF_INET) -> bytes:
    """`of_packets`: their family, which in transport mode must be that of the SA, wherever it ends."""
    where = template.destination or template.source
    net = (of_packets if template.transport_mode else uapi.AF_INET) if where is None else family(where)
    any_algorithm = uapi.NO_ALGORITHM_LIMIT
    return uapi.USER_TMPL.pack(
        packed(template.destination), 0, uapi.IPPROTO_ESP, net, packed(template.source), template.reqid,
        _mode(template.transport_mode), 0, 0, any_algorithm, any_algorithm, any_algorithm,
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
