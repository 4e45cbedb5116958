"""[dataplane]: who carries inner traffic, and what goes together."""

from collections.abc import Callable, Sequence

from mobike.config.locate import Key
from mobike.config.marks import of_marks
from mobike.config.models import DataplaneTable
from mobike.config.modes import carried_by_kernels
from mobike.config.settings import Connection, DataplaneSettings, Inner, Moves, PlaneKind
from mobike.policy.connection import Start

_INNER_OF_KERNEL = (Inner.TUN, Inner.XFRM, Inner.NONE)


def dataplane(
    table: DataplaneTable, connections: Sequence[Connection], problem: Callable[[Key, str], None]
) -> DataplaneSettings:
    """Its settings; what contradicts is told to `problem`."""
    kind, inner = PlaneKind(table.kind), Inner(table.inner)
    if kind is PlaneKind.KERNEL:
        if inner not in _INNER_OF_KERNEL:
            problem(
                ("dataplane", "inner"),
                'must be "tun", "xfrm" or "none" with kind = "kernel": inner packets never come to this process',
            )
        streams = sorted(each.name for each in connections if each.profile.tcp)
        if streams:
            problem(
                ("dataplane", "kind"),
                f'"kernel" carries no TCP streams (RFC 9329), and {", ".join(streams)} may use them: '
                'set transport = "udp" there, or kind = "userspace" here',
            )
    elif apart := carried_by_kernels(connections):
        problem(
            ("dataplane", "kind"),
            f'"{table.kind}" carries tunnels only, and {", ".join(apart)} has mode = "transport": '
            'that takes kind = "kernel"',
        )
    if kind is not PlaneKind.KERNEL and inner is Inner.XFRM:
        problem(
            ("dataplane", "inner"), '"xfrm" needs kind = "kernel": it is the kernel that such an interface belongs to'
        )
    if inner is not Inner.XFRM and "if_id" in table.model_fields_set:
        problem(("dataplane", "if_id"), 'is of the interface that inner = "xfrm" makes; connections have an if_id, too')
    if kind is not PlaneKind.KERNEL and "moves" in table.model_fields_set:
        problem(("dataplane", "moves"), 'is about SAs of a kernel: it needs kind = "kernel"')
    of_marks(connections, kind, inner, problem)
    waiting = sorted(each.name for each in connections if each.policy.start is Start.TRAFFIC)
    if waiting and (kind is PlaneKind.NULL or (kind is PlaneKind.USERSPACE and inner is Inner.NONE)):
        problem(
            ("dataplane", "inner"),
            f'brings no packet here, and {", ".join(waiting)} would wait for one: set inner = "tun", '
            "or another start there",
        )
    return DataplaneSettings(
        kind=kind,
        inner=inner,
        tun=table.tun,
        mtu=table.mtu,
        if_id=table.if_id,
        moves=Moves(table.moves),
        always_encap=kind is not PlaneKind.KERNEL if table.always_encap is None else table.always_encap,
    )
