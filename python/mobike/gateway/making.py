"""What a daemon is made of, from its settings: the core, its key, the devices that inner packets pass."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from mobike import _core
from mobike.config import DataplaneSettings, Inner, PlaneKind, Settings
from mobike.gateway import parts
from mobike.store import Store, store_key

if TYPE_CHECKING:
    from mobike.dataplane.tun import TunNetwork
    from mobike.dataplane.xfrm_device import XfrmDevice


def tun_network(name: str, settings: DataplaneSettings) -> "TunNetwork":
    from mobike.dataplane.tun import TunNetwork  # noqa: PLC0415 - pyroute2, not for all

    return TunNetwork(name, settings.mtu if settings.kind is PlaneKind.KERNEL else None)


def xfrm_device(settings: DataplaneSettings) -> "XfrmDevice | None":
    if settings.inner is not Inner.XFRM:
        return None
    from mobike.dataplane.xfrm_device import XfrmDevice  # noqa: PLC0415 - pyroute2, not for all

    return XfrmDevice.open(settings.tun, settings.if_id, settings.mtu)


def read_store_key(settings: Settings, store: Store | None) -> bytes | None:
    if store is None or settings.store is None:
        return None
    return store_key(settings.store.key_file, given=settings.store.key, stored=bool(store.rows()))


def start_core(settings: Settings, key: bytes | None) -> _core.Core:
    inner = {Inner.TUN: "tun", Inner.PORT: "port", Inner.ECHO: "port"}.get(settings.dataplane.inner, "none")
    return _core.Core(
        listen=[str(ip) for ip in settings.daemon.listen],
        ike_port=settings.daemon.ike_port,
        natt_port=settings.daemon.natt_port,
        tcp=any(map(parts.listens_for_streams, settings.connections)),
        shards=settings.daemon.shards,
        inner=inner,
        tun_name=settings.dataplane.tun,
        tun_mtu=settings.dataplane.mtu,
        plane=settings.dataplane.kind.value,
        always_encap=settings.dataplane.always_encap,
        cookie_threshold=settings.limits.cookie_threshold,
        max_half_open=settings.limits.max_half_open,
        prefix_limits=asdict(settings.limits.prefix),
        puzzle_limits=asdict(settings.limits.puzzle),
        hardest_solved=settings.limits.hardest_solved,
        max_sas=settings.limits.max_ike_sas,
        store_key=key,
    )
