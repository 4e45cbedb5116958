"""An XFRM interface of ours: made, made anew after a crash, taken away; and what is somebody else's stays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from mobike.dataplane.xfrm_device import XfrmDevice


class Link:
    """What netlink shows of a device."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def get_attr(self, name: str, /) -> Link | str | int | None:
        return self if name == "IFLA_LINKINFO" else self.kind


class Model:
    """Devices by name, as a kernel keeps them."""

    def __init__(self, *, refuses: int = 0) -> None:
        self.devices: dict[str, tuple[int, dict[str, str | int]]] = {}
        self.last = 0
        self.refuses = refuses
        self.closed = False

    async def link_lookup(self, *, ifname: str) -> list[int]:
        return [index for name, (index, _) in self.devices.items() if name == ifname]

    async def get_links(self, index: int) -> AsyncIterator[Link]:
        async def shown() -> AsyncIterator[Link]:
            for each, said in self.devices.values():
                if each == index:
                    yield Link(str(said["kind"]))

        return shown()

    async def link(self, do: str, /, **parameters: str | int) -> None:
        if do == "add":
            if self.refuses:
                raise NetlinkError(self.refuses)
            self.last += 1
            self.devices[str(parameters.pop("ifname"))] = (self.last, parameters)
            return
        index = parameters.pop("index")
        (name,) = (name for name, (each, _) in self.devices.items() if each == index)
        if do == "del":
            del self.devices[name]
        else:
            self.devices[name][1].update(parameters)

    def close(self) -> None:
        self.closed = True


def device(model: Model) -> XfrmDevice:
    return XfrmDevice("ipsec0", 7, 1400, model)


async def test_it_is_made_and_taken_away() -> None:
    model = Model()
    await device(model).make()
    assert model.devices == {"ipsec0": (1, {"kind": "xfrm", "xfrm_if_id": 7, "mtu": 1400, "state": "up"})}
    await device(model).remove()
    assert (model.devices, model.closed) == ({}, True)
    await device(model).remove()


async def test_what_a_crash_left_is_made_anew() -> None:
    model = Model()
    model.devices["ipsec0"] = (90, {"kind": "xfrm", "xfrm_if_id": 3})
    await device(model).make()
    assert model.devices["ipsec0"][1]["xfrm_if_id"] == 7


async def test_a_device_of_somebody_else_is_left_alone() -> None:
    model = Model()
    model.devices["ipsec0"] = (90, {"kind": "dummy"})
    with pytest.raises(OSError, match="ipsec0 is somebody else's"):
        await device(model).make()
    await device(model).remove()
    assert model.devices == {"ipsec0": (90, {"kind": "dummy"})}


@pytest.mark.parametrize(("code", "says"), [(95, "CONFIG_XFRM_INTERFACE"), (17, "ipsec0 with if_id 7 cannot be made")])
async def test_without_it_the_daemon_says_why(code: int, says: str) -> None:
    with pytest.raises(OSError, match=says):
        await device(Model(refuses=code)).make()
