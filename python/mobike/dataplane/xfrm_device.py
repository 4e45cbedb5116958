"""An XFRM interface in place of a TUN device: made when the daemon begins, gone when it ends, also after a crash.

Packets that are routed into it meet the policies of its `if_id`, and what SAs of that `if_id` bring comes out of it.
"""

from collections.abc import AsyncIterable
from typing import Final, Protocol, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

_OPERATION_NOT_SUPPORTED: Final = 95


class _Attributes(Protocol):
    def get_attr(self, name: str, /) -> "_Attributes | str | int | None": ...


class Netlink(Protocol):
    """The part of pyroute2 that is used."""

    async def link_lookup(self, *, ifname: str) -> list[int]: ...

    async def get_links(self, index: int) -> AsyncIterable[_Attributes]: ...

    async def link(self, do: str, /, **parameters: str | int) -> object: ...

    def close(self) -> None: ...


class XfrmDevice:
    """One of them."""

    def __init__(self, name: str, if_id: int, mtu: int, netlink: Netlink) -> None:
        self._name = name
        self._if_id = if_id
        self._mtu = mtu
        self._netlink = netlink

    @classmethod
    def open(cls, name: str, if_id: int, mtu: int) -> Self:
        return cls(name, if_id, mtu, AsyncIPRoute())

    async def make(self) -> None:
        """Put it there, new: what an earlier process left goes first, with its addresses and routes. OSError says why
        there is none."""
        for index in await self._netlink.link_lookup(ifname=self._name):
            if await self._kind(index) != "xfrm":
                why = f"the network device {self._name} is somebody else's: give another name as tun in [dataplane]"
                raise OSError(why)
            await self._netlink.link("del", index=index)
        try:
            await self._netlink.link("add", ifname=self._name, kind="xfrm", xfrm_if_id=self._if_id)
        except NetlinkError as error:
            if error.code == _OPERATION_NOT_SUPPORTED:
                why = 'the kernel has no XFRM interfaces (CONFIG_XFRM_INTERFACE): set inner = "tun" in [dataplane]'
            else:
                why = f"the XFRM interface {self._name} with if_id {self._if_id} cannot be made: {error}"
            raise OSError(why) from error
        (index,) = await self._netlink.link_lookup(ifname=self._name)
        await self._netlink.link("set", index=index, mtu=self._mtu)
        await self._netlink.link("set", index=index, state="up")

    async def remove(self) -> None:
        """Take it away, if nobody else has."""
        for index in await self._netlink.link_lookup(ifname=self._name):
            if await self._kind(index) == "xfrm":
                await self._netlink.link("del", index=index)
        self._netlink.close()

    async def _kind(self, index: int) -> str | None:
        async for link in await self._netlink.get_links(index):
            info = link.get_attr("IFLA_LINKINFO")
            if info is not None and not isinstance(info, str | int):
                return str(info.get_attr("IFLA_INFO_KIND"))
        return None
