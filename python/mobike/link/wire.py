"""Netlink messages of rtnetlink(7), as pyroute2 decodes them, turned into facts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeAlias

from mobike.address import Ip

IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_RUNNING = 0x40
"""The link has a carrier (netdevice(7))."""

IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40

RT_SCOPE_LINK = 253


@dataclass(frozen=True, slots=True)
class LinkFact:
    """A link as it is now, or that it is gone."""

    index: int
    name: str
    usable: bool
    """Up, with a carrier, and not the loopback link."""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class AddressFact:
    """An address on a link, or that it was taken away."""

    index: int
    ip: Ip
    usable: bool
    """Assigned, global in scope and past duplicate address detection (RFC 4621 section 2)."""
    deprecated: bool = False
    gone: bool = False
    optimistic: bool = False


@dataclass(frozen=True, slots=True)
class RouteFact:
    """Some route changed; which one does not matter, since the kernel is asked per destination."""


Fact: TypeAlias = LinkFact | AddressFact | RouteFact


def fact_of(message: Mapping[str, Any]) -> Fact | None:
    """The fact in one decoded rtnetlink message, or None where it holds none for us."""
    match message.get("event"):
        case "RTM_NEWLINK":
            flags = int(message["flags"])
            usable = flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING and not flags & IFF_LOOPBACK
            return LinkFact(int(message["index"]), _name_of(message), usable)
        case "RTM_DELLINK":
            return LinkFact(int(message["index"]), _name_of(message), usable=False, gone=True)
        case "RTM_NEWADDR":
            return _address_fact(message, gone=False)
        case "RTM_DELADDR":
            return _address_fact(message, gone=True)
        case "RTM_NEWROUTE" | "RTM_DELROUTE" | "RTM_NEWRULE" | "RTM_DELRULE":
            return RouteFact()
        case _:
            return None


def output_of(route: Mapping[str, Any]) -> int:
    """The index of the link that a route leaves by; 0 where it names none."""
    return int(_attribute(route, "RTA_OIF") or 0)


def _name_of(message: Mapping[str, Any]) -> str:
    return str(_attribute(message, "IFLA_IFNAME") or f"link{message['index']}")


def _address_fact(message: Mapping[str, Any], *, gone: bool) -> AddressFact | None:
    # On a point-to-point link IFA_ADDRESS is the other end's; ours is IFA_LOCAL.
    text = _attribute(message, "IFA_LOCAL") or _attribute(message, "IFA_ADDRESS")
    if text is None:
        return None
    ip = ip_address(str(text))
    flags = int(_attribute(message, "IFA_FLAGS") or message["flags"])
    settled = not flags & IFA_F_DADFAILED and (not flags & IFA_F_TENTATIVE or bool(flags & IFA_F_OPTIMISTIC))
    usable = (
        settled
        and int(message["scope"]) < RT_SCOPE_LINK
        and not (ip.is_loopback or ip.is_multicast or ip.is_link_local or ip.is_unspecified)
    )
    # The kernel clears the tentative flag when nobody has objected; only until then is an address optimistic.
    return AddressFact(
        index=int(message["index"]),
        ip=ip,
        usable=usable,
        deprecated=bool(flags & IFA_F_DEPRECATED),
        gone=gone,
        optimistic=bool(flags & IFA_F_OPTIMISTIC and flags & IFA_F_TENTATIVE),
    )


def _attribute(message: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - netlink attributes are of many types
    for key, value in message["attrs"]:
        if key == name:
            return value
    return None
