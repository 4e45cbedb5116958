"""A gateway whose operator says where peers may be: from its file to the refusal; traffic goes on where it was."""

from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike.address import Generation
from mobike.commands import Move
from mobike.dataplane.operations import MoveSa
from mobike.events import Moved, MoveRefused, SaMoved
from tests.cli.ends import until
from tests.gateway.rig import GATEWAY_IP, Client, Gateway, client, gateway

HERE, THERE = "127.0.25.1", "127.0.26.1"


def order_move(one: Client, gateway: Gateway, generation: int) -> None:
    """To its second address."""
    assert one.up is not None
    path = one.path_to(GATEWAY_IP, (gateway.ike, gateway.natt), local=1, natt=True)
    one.core.submit([Move(one.up.sa, path, Generation(generation), None)])


def packets_in_and_out(gateway: Gateway, sa: str) -> list[tuple[str, int, int]]:
    """Of each Child SA: its name, and packets in and out."""
    children = gateway.get(f"ike-sas/{sa}")["children"]
    return [(each["id"], each["packets_in"], each["packets_out"]) for each in children]


@pytest.mark.req("M3.5-6")
def test_a_peer_that_moves_where_the_file_forbids_it_is_refused_and_its_traffic_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    limit = f'allow_remote = ["{HERE}/32", "127.0.99.0/24"]'
    with gateway(tmp_path, more=limit) as one, client(HERE, THERE) as peer:
        peer.connect(GATEWAY_IP, (one.ike, one.natt))
        peer.ping()
        (before,) = one.sas()
        ((child, came, went),) = packets_in_and_out(one, before["id"])

        order_move(peer, one, 1)
        refused = peer.wait_for(MoveRefused)
        assert (refused.path.local.ip, refused.generation) == (peer.addresses[1], 1)
        peer.ping()

        (after,) = one.sas()
        assert (after["id"], after["remote"], after["moves"]) == (before["id"], before["remote"], 0)
        assert after["remote"].startswith(f"{HERE}:")
        assert packets_in_and_out(one, after["id"]) == [(child, came + 20, went + 20)]
        counters = one.counters()
        assert (counters["ike_updates_refused"], counters["ike_updates_taken"]) == (1, 0)
        assert counters["ike_cookie2_sent"] == 0, "nobody at the forbidden address is asked anything"

        def told() -> list[str]:
            return [event["text"] for event in one.events() if event["kind"] == "notice-address_refused"]

        until(lambda: told() == [f"move refused: {THERE} is no address the peer may use"], "people are told why")
        assert not [event for event in peer.events if isinstance(event, Moved)]


@pytest.mark.req("M3.5-6")
def test_where_the_file_allows_both_addresses_the_same_move_is_followed(tmp_path: Path) -> None:
    allowed = f'allow_remote = ["{HERE}/32", "{THERE}/32"]\nallow_local = ["{GATEWAY_IP}/32"]\nfamilies = ["ipv4"]'
    with gateway(tmp_path, more=allowed) as one, client(HERE, THERE) as peer:
        up = peer.connect(GATEWAY_IP, (one.ike, one.natt))
        order_move(peer, one, 1)
        moved = peer.wait_for(Moved)
        peer.core.submit([MoveSa(up.sa, moved.path, encap=True)])
        peer.wait_for(SaMoved)
        peer.ping()
        # The core has answered; the control plane hears of it in a turn of its own.
        until(
            lambda: [sa["remote"].split(":")[0] for sa in one.sas()] == [THERE], "the gateway's control plane followed"
        )
        assert one.counters()["ike_updates_refused"] == 0
