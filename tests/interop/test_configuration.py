"""Inner addresses of both families and what goes with them: resolvers, networks, domains, told by each end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    INNER6,
    INNER6_NET,
    INNER_NET,
    PLUGINS,
    Charon,
    Mobike,
    Rig,
    initiator,
    merge,
    mobike_client,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
)

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

POOL6 = "fd00:177::/112"
RESOLVERS = ("10.20.0.53", "fd00:20::53")


def test_a_strongswan_client_gets_addresses_of_both_families_and_our_resolvers(tmp_path: Path) -> None:
    config = mobike_gateway(
        pool=["10.177.0.0/24", POOL6],
        local_ts=[INNER_NET, INNER6_NET],
        dns=RESOLVERS,
        networks=[INNER_NET],
        dns_domains=["corp.example"],
    )
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("")
    client = initiator(GW1.address, vips=("0.0.0.0", "::"), inner=(INNER_NET, INNER6_NET))
    settings = {"charon": {"plugins": {"resolve": {"file": str(resolv)}}}}
    with (
        Rig(ipv6=True) as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", config) as gateway,
        Charon(
            rig.client, tmp_path / "client", client, secrets=psk(), plugins=(*PLUGINS, "resolve"), settings=settings
        ) as charon,
    ):
        charon.initiate()
        ours = gateway.wait_up()
        (theirs,) = charon.list_sas()
        assert sorted(ours.sa.virtual_ips) == sorted(theirs.local_vips) == ["10.177.0.1", "fd00:177::1"]
        # Each is put before those that are there.
        lines = (line.split() for line in resolv.read_text().splitlines())
        assert sorted(words[1] for words in lines if words[:1] == ["nameserver"]) == sorted(RESOLVERS)
        for inside in (INNER, INNER6):
            assert rig.ping(rig.client, inside, count=5, interval=0.02).lost == 0


def test_our_client_shows_what_a_strongswan_gateway_told_it_and_hands_it_to_a_hook(tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\nenv | grep ^MOBIKE_ > {told}.new && mv {told}.new {told}\n")
    hook.chmod(0o755)
    gateway = merge(
        responder(),
        {"pools": {"vips": {"dns": ",".join(RESOLVERS), "subnet": f"{INNER_NET},10.30.0.0/16", "25": "corp.example"}}},
    )
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", gateway, secrets=psk()),
        Mobike(rig, rig.client, tmp_path / "client", mobike_client(GW1.address, on_up=[str(hook)])) as client,
    ):
        ours = client.wait_up()
        assert ours.dns == RESOLVERS
        assert ours.networks == (INNER_NET, "10.30.0.0/16")
        assert ours.domains == ("corp.example",)
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
        environment = dict(line.split("=", 1) for line in told.read_text().splitlines())
        assert environment["MOBIKE_INNER"] == ours.sa.virtual_ips[0]
        assert environment["MOBIKE_DNS"] == " ".join(RESOLVERS)
        assert environment["MOBIKE_DNS_DOMAINS"] == "corp.example"
        assert environment["MOBIKE_NETWORKS"] == f"{INNER_NET} 10.30.0.0/16"
