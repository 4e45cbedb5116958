"""Why a peer does not come up, asked of a gateway that runs: over the API, after real attempts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mobike.commands import Profile
from mobike.events import ConnectFailed
from tests.gateway.rig import CLIENT, GATEWAY_IP, Client, Gateway, client, gateway


def refused(house: Gateway, one: Client, profile: Profile, token: int) -> dict[str, Any]:
    """What the gateway says of an attempt by these orders."""
    one.order(GATEWAY_IP, (house.ike, house.natt), profile, token)
    one.wait_for(ConnectFailed, lambda failed: failed.token == token)
    (latest,) = house.get("attempts?peer=127.0.22.1&limit=1")["items"]
    return dict(latest)


def first_difference(attempt: dict[str, Any]) -> dict[str, Any]:
    return next(line for line in attempt["lines"] if not line["fits"])


def test_each_attempt_says_where_the_two_ends_part_and_one_that_works_ends_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.1") as one:
        attempt = refused(house, one, replace(CLIENT, ike_proposals=("aes256-sha256-modp2048",)), 1)
        assert (attempt["step"], attempt["reason"], attempt["by_us"]) == ("IKE_SA_INIT", "no-proposal", False)
        line = first_difference(attempt)
        assert (line["what"], line["theirs"]) == ("encryption", ["aes256"])
        assert "aes256gcm16" in line["ours"]

        attempt = refused(house, one, replace(CLIENT, local_id="mallory@example.org"), 2)
        assert (attempt["step"], attempt["peer_id"]) == ("IKE_AUTH", "mallory@example.org")
        assert first_difference(attempt)["ours"] == ["*@example.net"]

        attempt = refused(house, one, replace(CLIENT, psk=b"what I think it is"), 3)
        assert (attempt["reason"], attempt["connection"]) == ("bad-auth", "rw")
        assert attempt["fix"].startswith("the pre-shared keys differ: compare psk of [connections.rw]")

        attempt = refused(house, one, replace(CLIENT, remote_ts=("10.77.0.0/16",)), 4)
        assert (attempt["reason"], first_difference(attempt)["what"]) == ("traffic", "traffic here")

        one.connect(GATEWAY_IP, (house.ike, house.natt))
        known = house.get("attempts?peer=honest@example.net")["items"]
        assert known[0]["ending"] == "up"
        assert {each["ending"] for each in known[1:]} <= {"up", "refused"}
        assert house.get("attempts?peer=192.0.2.1")["items"] == []
