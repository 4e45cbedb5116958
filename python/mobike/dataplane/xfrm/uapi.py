"""The kernel's own numbers and structures, of linux/xfrm.h and linux/netlink.h, with their sizes asserted.

Layouts are native byte order without implied padding: holes are written out. Ports and SPIs are big endian in the
kernel and travel through `be16` and `be32`. Structures are those of a 64 bit kernel: 64 bit fields sit
on 8 octets.
"""

import sys
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final

AF_INET: Final = 2
AF_INET6: Final = 10
NETLINK_XFRM: Final = 6
SOL_NETLINK: Final = 270
NETLINK_ADD_MEMBERSHIP: Final = 1
NETLINK_CAP_ACK: Final = 10
"""Answers do not repeat what they answer: so no key comes back, and more answers fit into the buffer."""
NETLINK_EXT_ACK: Final = 11
"""Answers carry the kernel's own words."""

NLM_F_REQUEST: Final = 0x01
NLM_F_MULTI: Final = 0x02
NLM_F_ACK: Final = 0x04
NLM_F_REPLACE: Final = 0x100
NLM_F_DUMP: Final = 0x300
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLMSGERR_ATTR_MSG: Final = 1
NLA_TYPE_MASK: Final = 0x3FFF

IPPROTO_ESP: Final = 50
UDP_ENCAP_ESPINUDP: Final = 2
XFRM_MODE_TRANSPORT: Final = 0
XFRM_MODE_TUNNEL: Final = 1
XFRM_INF: Final = 2**64 - 1
NO_ALGORITHM_LIMIT: Final = 2**32 - 1


class Msg(IntEnum):
    """Message types."""

    NEWSA = 0x10
    DELSA = 0x11
    GETSA = 0x12
    NEWPOLICY = 0x13
    DELPOLICY = 0x14
    GETPOLICY = 0x15
    ALLOCSPI = 0x16
    ACQUIRE = 0x17
    EXPIRE = 0x18
    UPDPOLICY = 0x19
    UPDSA = 0x1A
    FLUSHSA = 0x1C
    FLUSHPOLICY = 0x1D
    NEWAE = 0x1E
    GETAE = 0x1F
    MIGRATE = 0x21
    MAPPING = 0x26
    MIGRATE_STATE = 0x29
    """Since Linux 7.2."""


class Attr(IntEnum):
    """Attribute types."""

    ALG_AUTH = 1
    ALG_CRYPT = 2
    ENCAP = 4
    TMPL = 5
    SA = 6
    LTIME_VAL = 9
    REPLAY_VAL = 10
    SRCADDR = 13
    MIGRATE = 17
    ALG_AEAD = 18
    ALG_AUTH_TRUNC = 20
    MARK = 21
    REPLAY_ESN_VAL = 23
    SA_EXTRA_FLAGS = 24
    PROTO = 25
    ADDRESS_FILTER = 26
    OFFLOAD_DEV = 28
    SET_MARK = 29
    SET_MARK_MASK = 30
    IF_ID = 31
    SA_DIR = 33
    """Since Linux 6.10: 1 in, 2 out."""


class Group(IntEnum):
    """What the kernel tells unasked."""

    ACQUIRE = 1
    EXPIRE = 2
    SA = 3
    POLICY = 4
    MAPPING = 8


class SaFlag(IntFlag):
    """Of `usersa_info`."""

    AF_UNSPEC = 32
    """Inner packets of both families."""
    ESN = 128


class Dir(IntEnum):
    """Of a policy."""

    IN = 0
    OUT = 1
    FWD = 2


SA_DIR_IN: Final = 1
SA_DIR_OUT: Final = 2

POLICY_ALLOW: Final = 0
POLICY_BLOCK: Final = 1

NLMSGHDR: Final = Struct("=IHHII")
"""length, type, flags, sequence, port"""
NLATTR: Final = Struct("=HH")
"""length with this header, type"""

_SELECTOR = "16s16sHHHHHBBB3xiI"
"""destination, source, dport, mask, sport, mask, family, prefix lengths (destination, source), proto, ifindex, user"""
_ID = "16sIB3x"
"""destination, SPI, proto"""
_LIMITS = "8Q"
"""bytes (soft, hard), packets, seconds since added, seconds since used"""
_CURRENT = "4Q"
"""bytes, packets, added at, used at"""

SELECTOR: Final = Struct("=" + _SELECTOR)
USERSA_INFO: Final = Struct(f"={_SELECTOR}{_ID}16s{_LIMITS}{_CURRENT}3I IIHBBB7x")
"""selector, id, source, limits, current, stats, seq, reqid, family, mode, replay window, flags"""
USERSA_ID: Final = Struct("=16sIHBx")
"""destination, SPI, family, proto"""
USERPOLICY_INFO: Final = Struct(f"={_SELECTOR}{_LIMITS}{_CURRENT}IIBBBB4x")
"""selector, limits, current, priority, index, direction, action, flags, share"""
USERPOLICY_ID: Final = Struct(f"={_SELECTOR}IB3x")
"""selector, index, direction"""
USER_TMPL: Final = Struct(f"={_ID}H2x16sIBBBxIII")
"""id, family, source, reqid, mode, share, optional, algorithms allowed (aalgos, ealgos, calgos)"""
ENCAP_TMPL: Final = Struct("=HHH2x16s")
"""type, source port, destination port, original address"""
ALGO: Final = Struct("=64sI")
"""name, key length in bits"""
ALGO_SIZED: Final = Struct("=64sII")
"""name, key length in bits, length of the ICV in bits (of AEADs, and of integrity algorithms that are cut short)"""
REPLAY_STATE: Final = Struct("=III")
"""oseq, seq, bitmap"""
REPLAY_ESN: Final = Struct("=6I")
"""words of the bitmap behind it, oseq, seq, oseq high, seq high, window"""
MARK: Final = Struct("=II")
"""value, mask"""
LIFETIME_CUR: Final = Struct("=4Q")
"""octets, packets, added at, used at"""
AEVENT_ID: Final = Struct("=16sIHBx16sII")
"""id of the SA, source, flags, reqid"""
USER_MIGRATE: Final = Struct("=16s16s16s16sBBHIHH")
"""old destination, old source, new destination, new source, proto, mode, reserved, reqid, old family, new family"""
MIGRATE_STATE: Final = Struct(f"=16sIHBx16s16sII{_SELECTOR}IIHH")
"""id of the SA, new destination, new source, old mark, new selector, new reqid, flags, new family, reserved"""
USER_ACQUIRE: Final = Struct(f"={_ID}16s{_SELECTOR}168sIIII")
"""id, source, selector, policy, algorithms allowed, seq"""
USER_EXPIRE: Final = Struct("=224sB7x")
"""the SA, whether it is the hard limit"""
USER_MAPPING: Final = Struct("=16sIHBxI16s16sHH")
"""id of the SA, reqid, old source, new source, old port, new port"""
USERSPI_INFO: Final = Struct("=224sII")
"""the SA, lowest and highest SPI"""

AE_REPLAY: Final = 2
"""The flag of `AEVENT_ID` that says: a replay state comes along."""

for _struct, _size in (
    (NLMSGHDR, 16), (NLATTR, 4), (SELECTOR, 56), (USERSA_INFO, 224), (USERSA_ID, 24), (USERPOLICY_INFO, 168),
    (USERPOLICY_ID, 64), (USER_TMPL, 64), (ENCAP_TMPL, 24), (ALGO, 68), (ALGO_SIZED, 72), (REPLAY_STATE, 12),
    (REPLAY_ESN, 24), (MARK, 8), (AEVENT_ID, 48), (USER_MIGRATE, 76), (MIGRATE_STATE, 132), (USER_ACQUIRE, 280),
    (USER_EXPIRE, 232), (LIFETIME_CUR, 32), (USER_MAPPING, 64), (USERSPI_INFO, 232),
):  # fmt: skip
    if _struct.size != _size:
        raise AssertionError(f"{_struct.format} has {_struct.size} octets, and the kernel's has {_size}")


def be16(value: int) -> int:
    """A port from our byte order to the network's, or back."""
    return value >> 8 | (value & 0xFF) << 8 if sys.byteorder == "little" else value


def be32(value: int) -> int:
    """An SPI from our byte order to the network's, or back."""
    return int.from_bytes(value.to_bytes(4, "big"), sys.byteorder)
