"""The examples of docs/examples, run from the very files: strongSwan with its file against mobike with its twin.

The one rule of what is changed in a file: `PLACES` gives outer addresses and devices of the test's network in place of
those that are written there, as whole words. The rig adds where a daemon keeps its state, its socket and its log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.auth.pki import Authority
from tests.interop.rig import (
    GW1,
    GW2,
    UP1,
    UP2,
    X509_PLUGINS,
    Charon,
    Mobike,
    Namespace,
    Rig,
    Settings,
    requires_rig,
    requires_strongswan,
    until,
)

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PLUGINS = (*X509_PLUGINS[:-3], "eap-identity", "eap-mschapv2", "resolve", *X509_PLUGINS[-3:])

PLACES = {
    "192.0.2.1": UP1.address,
    "198.51.100.1": UP2.address,
    "203.0.113.1": GW1.address,
    "203.0.113.129": GW2.address,
}
DEVICES = {
    "west": {"fiber0": UP1.device, "lte0": UP2.device},
    "east": {"fiber0": GW1.device, "lte0": GW2.device},
}

BEHIND_GATEWAY = "10.20.0.1"
RESOLVER = "10.20.0.53"
WEST = ("10.10.0.1", "10.11.0.1")
EAST = ("10.20.0.1", "10.21.0.1")


class Ends(NamedTuple):
    """Who runs the client, or the gateway of west, and who the other end."""

    first: str
    second: str


PAIRS = [Ends("strongswan", "mobike"), Ends("mobike", "strongswan"), Ends("mobike", "mobike")]


@pytest.mark.parametrize("ends", PAIRS, ids=" to ".join)
def test_a_road_warrior_reaches_the_net_behind_its_gateway(tmp_path: Path, ends: Ends) -> None:
    with Rig() as rig, ExitStack() as stack:
        behind(rig, rig.gateway, BEHIND_GATEWAY)
        authority = Authority.new(at=datetime.now(UTC))
        put_certificates(tmp_path, authority)
        stack.enter_context(_end(rig, rig.gateway, ends.second, tmp_path / "gateway", "road-warrior/gateway"))
        client = stack.enter_context(_end(rig, rig.client, ends.first, tmp_path / "client", "road-warrior/client"))
        _wait_pings(rig, rig.client, BEHIND_GATEWAY)
        assert _resolvers(client, tmp_path) == [RESOLVER]

        # Out of the house: Wi-Fi is gone.
        rig.link_down(rig.client, UP1.device)
        _wait_pings(rig, rig.client, BEHIND_GATEWAY)


@pytest.mark.parametrize("ends", PAIRS, ids=" to ".join)
def test_two_sites_reach_each_other_over_either_uplink(tmp_path: Path, ends: Ends) -> None:
    with Rig(gateway_links=2) as rig, ExitStack() as stack:
        behind(rig, rig.client, *WEST)
        behind(rig, rig.gateway, *EAST)
        stack.enter_context(_end(rig, rig.gateway, ends.second, tmp_path / "east", "site-to-site/east"))
        stack.enter_context(_end(rig, rig.client, ends.first, tmp_path / "west", "site-to-site/west"))
        _all_reach_all(rig)

        rig.link_down(rig.client, UP1.device)
        _all_reach_all(rig)


def _all_reach_all(rig: Rig) -> None:
    for here in WEST:
        for there in EAST:
            _wait_pings(rig, rig.client, there, here)
            _wait_pings(rig, rig.gateway, here, there)


def _wait_pings(rig: Rig, ns: Namespace, there: str, here: str | None = None) -> None:
    """Five in a row: strongSwan replaces its Child SA right after a move, so that a first one may be alone."""
    until(
        lambda: rig.ping(ns, there, count=5, interval=0.02, source=here).lost == 0,
        f"pings from {here or 'the client'} to {there} are answered",
    )


def behind(rig: Rig, ns: Namespace, *addresses: str) -> None:
    """Hosts behind a gateway: addresses of its own that no uplink has."""
    for address in addresses:
        rig.run(ns, ["ip", "address", "add", f"{address}/32", "dev", "lo"])


@contextmanager
def _end(rig: Rig, ns: Namespace, who: str, folder: Path, file: str) -> Iterator[Charon | Mobike]:
    """One end of an example, as `who` runs it; `file` without what follows its first dot."""
    example, end = file.split("/")
    folder.mkdir(exist_ok=True)
    places = PLACES | DEVICES.get(end, {})
    if who == "strongswan":
        text = adapted(EXAMPLES / example / f"{end}.swanctl.conf", places)
        resolve: Settings = {"charon": {"plugins": {"resolve": {"file": str(folder / "resolv.conf")}}}}
        (folder / "resolv.conf").touch()
        with Charon(ns, folder, text, plugins=PLUGINS, settings=resolve) as charon:
            yield charon
        return
    for beside in ("users.toml", "ann.password", "sites.psk"):
        if (EXAMPLES / example / beside).exists():
            (folder / beside).touch(mode=0o600)
            (folder / beside).write_text((EXAMPLES / example / beside).read_text())
    with Mobike(rig, ns, folder, adapted(EXAMPLES / example / f"{end}.mobike.toml", places)) as mobike:
        yield mobike


def _resolvers(client: Charon | Mobike, folder: Path) -> list[str]:
    """What the client was told by its gateway."""
    if isinstance(client, Mobike):
        return list(client.wait_up().dns)
    lines = (line.split() for line in (folder / "client" / "resolv.conf").read_text().splitlines())
    return [words[1] for words in lines if words[:1] == ["nameserver"]]


def adapted(file: Path, places: dict[str, str]) -> str:
    word = re.compile(r"(?<![\w.])(" + "|".join(map(re.escape, places)) + r")(?![\w.])")
    return word.sub(lambda found: places[found[0]], file.read_text())


def put_certificates(folder: Path, authority: Authority) -> None:
    """The gateway's and its authority's, where each of both programs looks for them."""
    gateway = folder / "gateway"
    client = folder / "client"
    for each in (gateway / "private", gateway / "x509", gateway / "x509ca", client / "x509ca"):
        each.mkdir(parents=True)
    authority.issue("gw.example.net").write(gateway, "gw")
    (gateway / "private" / "gw.key").write_bytes((gateway / "gw.key").read_bytes())
    (gateway / "x509" / "gw.pem").write_bytes((gateway / "gw.pem").read_bytes())
    for place in (gateway / "x509ca", client / "x509ca", client):
        authority.write(place / "ca.pem")
