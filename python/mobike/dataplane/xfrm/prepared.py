"""Octets for one new Child SA in one go: written by `wire` once for each kind, and from then on only filled in. Pure.

What differs between Child SAs of one kind lies at known places in the four messages that come first, and in the one
that follows them. All else is cut out of what `wire` writes for one of them: so it is the same by origin.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from mobike.dataplane.operations import SealedKeys
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.plan import Holding, plan_fresh
from mobike.dataplane.xfrm.selectors import ANY_LANE, Selector
from mobike.dataplane.xfrm.state import Action, Encap, Policy, PolicyKey, Sa, SaName, Template
from mobike.dataplane.xfrm.steps import AddSa, PutPolicy
from mobike.dataplane.xfrm.suites import Suite
from mobike.dataplane.xfrm.uapi import Dir
from mobike.dataplane.xfrm.wire import INFINITE, Batch, no_keys, sa_form, selector_octets

_Kind: TypeAlias = tuple[Suite, bool, int, bool, int]
"""Suite, encapsulated, octets of an address outside, direction said, port: Child SAs of one kind have messages of one
form."""
_Place: TypeAlias = tuple[int, str]

_BODY: Final = uapi.NLMSGHDR.size
_TEMPLATE: Final = _BODY + uapi.USERPOLICY_INFO.size + uapi.NLATTR.size
_SEQUENCE: Final = (8, "I")
_POLICY: Final = (_SEQUENCE, (_BODY, "56s"), (_BODY + 152, "I"))
"""Selector, priority; behind them destination, source and reqid of the template, or the reqid alone."""
_ADDRESSES: Final = ((_TEMPLATE, "16s"), (_TEMPLATE + 28, "16s"))
_REQID: Final = (_TEMPLATE + 44, "I")
_SA: Final = (
    _SEQUENCE, (_BODY + 56, "16s"), (_BODY + 72, "4s"), (_BODY + 80, "16s"),
    *((_BODY + 96 + 8 * limit, "Q") for limit in range(4)), (_BODY + 208, "I"),
)  # fmt: skip
"""Destination, SPI, source, four limits, reqid; behind them the ports, in their attribute."""
_USUAL: Final = (0, None, None, False)
"""No interface, no marks, tunnel mode: the end of an `Sa`."""


class Second(NamedTuple):
    """What the message is filled with that follows when the first ones came through."""

    form: "_Form"
    values: tuple[bytes, int, bytes, bytes, int]
    """Selector, priority, destination, source, reqid."""


NOT_PLAIN: Final = -1
"""No Child SA has this name."""


def plain_child(want: Holding) -> int:
    """The name of a Child SA with one selector of which nothing is said that is said of few; NOT_PLAIN: it is not like
    most, and written message by message."""
    if len(want.policies) != 3 or len(want.sas) != 2:
        return NOT_PLAIN
    (name, sa_in), (_, sa_out) = want.sas.items()
    if sa_in[8:] != _USUAL or sa_out[8:] != _USUAL or next(iter(want.policies)).selector.lane != ANY_LANE:
        return NOT_PLAIN
    return name.child


def write_first(batch: Batch, want: Holding, keys: SealedKeys) -> Second:
    """Policies in and fwd, and both SAs. What is left for `write_second`."""
    outward, inward, _ = want.policies.values()
    sa_in, sa_out = want.sas.values()
    here, there, encap, volumes = sa_in.destination.packed, sa_in.source.packed, sa_in.encap, sa_in.volumes
    form = _forms((sa_in.suite, encap is not None, len(here), batch.knows_direction, batch.port))
    number, reqid = batch.number, sa_in.reqid
    policy = (selector_octets(inward.key.selector), inward.priority, reqid)
    limits = (
        volumes.soft_bytes or INFINITE, volumes.hard_bytes or INFINITE, volumes.soft_packets or INFINITE,
        volumes.hard_packets or INFINITE, reqid,
    )  # fmt: skip
    ports_in, ports_out = _ports(encap), _ports(sa_out.encap)
    start = batch.append(
        form.first.struct.pack(*form.first.between(
            number, *policy, number + 1, *policy,
            number + 2, here, sa_in.spi.to_bytes(4), there, *limits, *ports_in,
            number + 3, there, sa_out.spi.to_bytes(4), here, *limits, *ports_out,
        )),
        form.starts,
    )  # fmt: skip
    for inbound, encryption_at, integrity_at in form.keys:
        at = None if integrity_at is None else start + integrity_at
        keys.write(batch.buffer, inbound=inbound, encryption_at=start + encryption_at, integrity_at=at)
    return Second(form.second, (selector_octets(outward.key.selector), outward.priority, there, here, reqid))


def write_second(batch: Batch, second: Second) -> None:
    """The policy out."""
    form = second.form
    batch.append(form.struct.pack(*form.between(batch.number, *second.values)), (0,))


def _ports(encap: Encap | None) -> tuple[bytes, ...]:
    return () if encap is None else (_PORTS.pack(*encap),)


_PORTS: Final = Struct(">HH")


class _Form:
    """Octets with places for values, in ascending order."""

    def __init__(self, octets: bytes, places: Iterable[_Place]) -> None:
        self._parts: list[int | bytes] = []
        at, shape = 0, "="
        for place, kind in places:
            shape += f"{place - at}s{kind}"
            self._parts += (octets[at:place], 0)
            at = place + Struct("=" + kind).size
        self.struct = Struct(f"{shape}{len(octets) - at}s")
        self._parts.append(octets[at:])

    def between(self, *values: int | bytes) -> list[int | bytes]:
        """What the struct packs: values between what is always the same."""
        parts = self._parts
        parts[1::2] = values
        return parts


class _Forms(NamedTuple):
    first: _Form
    second: _Form
    starts: tuple[int, ...]
    """Where the messages of the first one begin."""
    keys: tuple[tuple[bool, int, int | None], ...]
    """Inbound or not; where encryption and integrity go."""


@lru_cache(maxsize=256)
def _forms(kind: _Kind) -> _Forms:
    suite, encapsulated, width, knows_direction, port = kind
    batch = Batch(knows_direction=knows_direction, port=port)
    starts: list[int] = []
    first: list[_Place] = []
    keys: list[tuple[bool, int, int | None]] = []
    waves = plan_fresh(_example(suite, encapsulated, width))
    for step in waves[0]:
        start = len(batch.buffer)
        starts.append(start)
        match step:
            case PutPolicy(policy, fresh):
                batch.put_policy(policy, fresh=fresh)
                places: tuple[_Place, ...] = (*_POLICY, _REQID)
            case AddSa(name, sa):
                batch.new_sa(sa, no_keys)
                form = sa_form(sa, knows_direction=knows_direction)
                places = (*_SA, (form.encap_at, "4s")) if encapsulated else _SA
                integrity_at = None if form.integrity_at is None else start + form.integrity_at
                keys.append((name.inbound, start + form.encryption_at, integrity_at))
            case _:
                raise AssertionError(step)
        first += [(start + at, kind) for at, kind in places]
    last = Batch(knows_direction=knows_direction, port=port)
    (step,) = waves[1]
    assert isinstance(step, PutPolicy)  # noqa: S101 - it is ours
    last.put_policy(step.policy, fresh=step.fresh)
    second = _Form(bytes(last.buffer), (*_POLICY, *_ADDRESSES, _REQID))
    return _Forms(_Form(bytes(batch.buffer), first), second, tuple(starts), tuple(keys))


def _example(suite: Suite, encapsulated: bool, width: int) -> Holding:
    """Of that kind; whatever differs between them is overwritten."""
    ip, net = (ip_address(text) for text in ("192.0.0.8", "100::1")), ip_network("10.0.0.0/8")
    outer = next(each for each in ip if len(each.packed) == width)
    selector = Selector(net, net)
    policies = {
        (key := PolicyKey(way, selector)): Policy(key, Action.PROTECT, 1, template)
        for way, template in ((Dir.OUT, Template(1, outer, outer)), (Dir.IN, Template(1)), (Dir.FWD, Template(1)))
    }
    encap = Encap(1, 1) if encapsulated else None
    return Holding(
        {SaName(1, inbound): Sa(inbound, 1, outer, outer, 1, suite, encap) for inbound in (True, False)}, policies
    )
