"""X.509 certificates between ours and strongSwan, in both roles: who is believed, who is not, and what an address in a
certificate is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.auth.pki import Authority, Owner
from tests.interop.rig import (
    CLIENT_ID,
    GATEWAY_ID,
    GW1,
    INNER,
    UP1,
    UP2,
    X509_PLUGINS,
    Charon,
    Mobike,
    ProgramError,
    Rig,
    Settings,
    Toml,
    dissect,
    initiator,
    merge,
    mobike_client,
    mobike_gateway,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.tunnels import UPLINK_1_FIRST

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

KINDS = ("p256", "p384", "p521", "rsa2048", "ed25519")


@dataclass(frozen=True)
class Pki:
    """One authority, and both ends' certificates."""

    authority: Authority
    gateway: Owner
    client: Owner

    @staticmethod
    def new(kind: str = "p256", *client_names: str, **odd: Any) -> Pki:
        authority = Authority.new(kind=kind, at=datetime.now(UTC))
        names = [CLIENT_ID, *map(ip_address, client_names)]
        client = authority.issue(*names, kind=kind, subject="client", **odd)
        return Pki(authority, authority.issue(GATEWAY_ID, kind=kind, subject="gateway"), client)


def _ours(folder: Path, owner: Owner, authority: Authority, config: dict[str, Toml]) -> dict[str, Toml]:
    """The same connection, with certificates at both ends."""
    folder.mkdir(parents=True, exist_ok=True)
    owner.write(folder, "own")
    authority.write(folder / "ca.pem")
    connections = config["connections"]
    assert isinstance(connections, Mapping)
    table = connections["net"]
    assert isinstance(table, Mapping)
    changed: dict[str, Toml] = {key: value for key, value in table.items() if key not in {"psk", "local_id"}}
    changed |= {
        "local_auth": "cert",
        "remote_auth": "cert",
        "local_cert": str(folder / "own.pem"),
        "local_key": str(folder / "own.key"),
        "remote_ca": [str(folder / "ca.pem")],
    }
    return config | {"connections": {"net": changed}}


def _theirs(folder: Path, owner: Owner, authority: Authority, config: Settings) -> Settings:
    for name in ("private", "x509", "x509ca"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    owner.write(folder / "private", "own")
    (folder / "private" / "own.pem").rename(folder / "x509" / "own.pem")
    authority.write(folder / "x509ca" / "ca.pem")
    for number, above in enumerate(owner.chain):
        (folder / "x509ca" / f"above{number}.pem").write_bytes(above.public_bytes(Encoding.PEM))
    ends: Settings = {
        "connections": {"gw": {"local": {"auth": "pubkey", "certs": "own.pem"}, "remote": {"auth": "pubkey"}}}
    }
    return merge(config, ends)


@contextmanager
def _their_client(rig: Rig, folder: Path, pki: Pki, **settings: str) -> Iterator[tuple[Mobike, Charon]]:
    """A strongSwan client, not connected yet, and our gateway."""
    config = _ours(folder / "gateway", pki.gateway, pki.authority, mobike_gateway())
    theirs = _theirs(folder / "client", pki.client, pki.authority, initiator(GW1.address))
    with (
        Mobike(rig, rig.gateway, folder / "gateway", config) as gateway,
        Charon(rig.client, folder / "client", theirs, plugins=X509_PLUGINS, settings={"charon": settings}) as charon,
    ):
        yield gateway, charon


@contextmanager
def _our_client(rig: Rig, folder: Path, pki: Pki, **settings: str) -> Iterator[tuple[Mobike, Charon]]:
    """Our client, which connects at once, and a strongSwan gateway."""
    client = mobike_client(GW1.address, links=UPLINK_1_FIRST)
    config = _ours(folder / "client", pki.client, pki.authority, client)
    theirs = _theirs(folder / "gateway", pki.gateway, pki.authority, responder())
    with (
        Charon(rig.gateway, folder / "gateway", theirs, plugins=X509_PLUGINS, settings={"charon": settings}) as charon,
        Mobike(rig, rig.client, folder / "client", config) as ours,
    ):
        yield ours, charon


@pytest.mark.parametrize("kind", KINDS)
def test_a_strongswan_client_and_our_gateway_know_each_other_by_certificates(tmp_path: Path, kind: str) -> None:
    with Rig() as rig, _their_client(rig, tmp_path, Pki.new(kind)) as (gateway, charon):
        charon.initiate()
        assert gateway.wait_up().sa.peer_id == CLIENT_ID
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
        assert gateway.counters()["ike_questions_asked"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_our_client_and_a_strongswan_gateway_know_each_other_by_certificates(tmp_path: Path, kind: str) -> None:
    with Rig() as rig, _our_client(rig, tmp_path, Pki.new(kind)) as (client, _):
        assert client.wait_up().sa.peer_id == GATEWAY_ID
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


def test_strongswan_may_pad_rsa_by_pss(tmp_path: Path) -> None:
    with Rig() as rig, _their_client(rig, tmp_path, Pki.new("rsa2048"), rsa_pss="yes") as (gateway, charon):
        charon.initiate()
        gateway.wait_up()


def _long_chains() -> Pki:
    """Three RSA certificates at each end: more than one datagram."""
    authority = Authority.new(kind="rsa2048", at=datetime.now(UTC))
    low = authority.sub("Upper", kind="rsa2048").sub("Lower", kind="rsa2048")
    return Pki(authority, low.issue(GATEWAY_ID, kind="rsa2048"), low.issue(CLIENT_ID, kind="rsa2048"))


@pytest.mark.parametrize("side", [_their_client, _our_client])
def test_long_chains_go_in_pieces_that_no_router_must_cut(
    tmp_path: Path, side: Callable[[Rig, Path, Pki], AbstractContextManager[tuple[Mobike, Charon]]]
) -> None:
    with Rig() as rig, rig.capture(rig.gateway, GW1.device, tmp_path / "gw1.pcap", "ip") as pcap:
        with side(rig, tmp_path, _long_chains()) as (ours, charon):
            if side is _their_client:
                charon.initiate()
            ours.wait_up()
            counters = ours.counters()
            assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
        assert counters["ike_fragments_sent"] >= 2
        assert counters["ike_fragments_kept"] >= 2
    assert dissect(pcap, ["ip.id"], "ip.flags.mf == 1 || ip.frag_offset > 0") == []
    lengths = [int(length) for (length,) in dissect(pcap, ["ip.len"], "isakmp")]
    assert lengths
    assert max(lengths) <= 1280


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"end": timedelta(days=-1)}, "has expired"),
        ({"signs": False}, "may not sign"),
        ({"names": False}, "does not say so"),
        ({"stranger": True}, "was not signed by"),
    ],
)
def test_a_strongswan_client_with_a_bad_certificate_is_told_so_and_our_log_says_why(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    pki = Pki.new()
    odd: dict[str, Any] = {key: value for key, value in change.items() if key in {"end", "signs"}}
    authority = Authority.new(at=datetime.now(UTC)) if "stranger" in change else pki.authority
    name = "other.test.example" if "names" in change else CLIENT_ID
    client = authority.issue(name, subject="client", **odd)
    theirs = _theirs(tmp_path / "client", client, pki.authority, initiator(GW1.address))
    config = _ours(tmp_path / "gateway", pki.gateway, pki.authority, mobike_gateway())
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", config) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=X509_PLUGINS) as charon,
    ):
        with pytest.raises(ProgramError):
            charon.initiate()
        charon.wait_log("AUTH_FAILED")
        gateway.wait_log(why)
        assert gateway.ike_sas() == []


@pytest.mark.req("D5.5-1")
def test_a_client_moves_to_an_address_of_its_certificate_without_a_check(tmp_path: Path) -> None:
    with Rig() as rig, _their_client(rig, tmp_path, Pki.new("p256", UP2.address)) as (gateway, charon):
        charon.initiate()
        gateway.wait_up()
        rig.link_down(rig.client, UP1.device)
        moved = gateway.wait_sa(lambda one: one.sa.remote.startswith(f"{UP2.address}:"), "the client is on uplink 2")
        assert moved.last_move is not None
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
        counters = gateway.counters()
        assert (counters["ike_updates_taken"], counters["ike_cookie2_sent"]) == (1, 0)
