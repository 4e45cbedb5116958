"""strongSwan's own view of its security associations."""

from __future__ import annotations

from dataclasses import dataclass

from .settings import Answer, parse_pretty


@dataclass(frozen=True, slots=True)
class ChildSa:
    """A pair of ESP SAs."""

    name: str
    state: str
    encap: bool
    spi_in: str
    spi_out: str
    packets_in: int
    packets_out: int
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IkeSa:
    """An IKE SA with its children. `raw` has what is not named here (algorithms, times, tasks)."""

    name: str
    unique_id: int
    state: str
    initiator: bool
    local_host: str
    local_port: int
    local_id: str
    remote_host: str
    remote_port: int
    remote_id: str
    initiator_spi: str
    responder_spi: str
    local_vips: tuple[str, ...]
    remote_vips: tuple[str, ...]
    children: tuple[ChildSa, ...]
    raw: Answer


def parse_sas(text: str) -> list[IkeSa]:
    """The SAs in the output of `swanctl --list-sas --pretty`."""
    return [_ike_sa(name, sa) for message in parse_pretty(text) for name, sa in message.items() if isinstance(sa, dict)]


def _ike_sa(name: str, sa: Answer) -> IkeSa:
    children = sa.get("child-sas", {})
    assert isinstance(children, dict)
    return IkeSa(
        name=name,
        unique_id=int(_text(sa, "uniqueid")),
        state=_text(sa, "state"),
        initiator=_text(sa, "initiator") == "yes",
        local_host=_text(sa, "local-host"),
        local_port=int(_text(sa, "local-port")),
        local_id=_text(sa, "local-id"),
        remote_host=_text(sa, "remote-host"),
        remote_port=int(_text(sa, "remote-port")),
        remote_id=_text(sa, "remote-id"),
        initiator_spi=_text(sa, "initiator-spi"),
        responder_spi=_text(sa, "responder-spi"),
        local_vips=_list(sa, "local-vips"),
        remote_vips=_list(sa, "remote-vips"),
        children=tuple(_child_sa(child) for child in children.values() if isinstance(child, dict)),
        raw=sa,
    )


def _child_sa(child: Answer) -> ChildSa:
    return ChildSa(
        name=_text(child, "name"),
        state=_text(child, "state"),
        encap=_text(child, "encap") == "yes",
        spi_in=_text(child, "spi-in"),
        spi_out=_text(child, "spi-out"),
        packets_in=int(_text(child, "packets-in") or 0),
        packets_out=int(_text(child, "packets-out") or 0),
        local_ts=_list(child, "local-ts"),
        remote_ts=_list(child, "remote-ts"),
    )


def _text(section: Answer, key: str) -> str:
    """A value, empty where the daemon does not say it (a half-open SA has no identities)."""
    value = section.get(key, "")
    return value if isinstance(value, str) else ""


def _list(section: Answer, key: str) -> tuple[str, ...]:
    value = section.get(key, [])
    return tuple(value) if isinstance(value, list) else ()
