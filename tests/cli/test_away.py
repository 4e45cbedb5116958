"""`mobike away` and `mobike back`, between real daemons: what the operators see, and what policy says."""

from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from tests.cli.conftest import Run
from tests.cli.ends import End, Ends, two_ends, until


def kinds(end: End) -> list[str]:
    """What its log tells of, in order."""
    lines = end.log.read_text().splitlines()
    return [line.split('"event": "')[1].split('"')[0] for line in lines if '"event"' in line]


def both_agree(ends: Ends, state: str) -> bool:
    sas = ends.client.only_sa(), ends.gateway.only_sa()
    return all(sa is not None and sa["sa"]["state"] == state for sa in sas)


@pytest.mark.req("D5.4-1")
def test_a_laptop_says_that_it_sleeps_and_wakes_up_on_another_network(mobike: Run, tmp_path: Path) -> None:
    with two_ends(tmp_path, more='liveness = "300ms"\n', gateway_more='liveness = "300ms"\n') as ends:
        until(lambda: both_agree(ends, "established"), "both ends agree")
        before = ends.client.only_sa()["sa"]
        told = mobike("--socket", ends.client.socket, "away", "home", "--for", "8h")
        assert (told.code, told.out) == (0, "home: Away for at most 8 h; coming back takes one exchange\n"), told.err
        until(lambda: both_agree(ends, "away"), "both ends say so")
        assert ends.gateway.only_sa()["why"] == "The peer is away, for at most 8 h"
        assert ends.client.only_sa()["why"] == "We are away, for at most 8 h"
        said = ends.gateway.get("counters")["counters"]
        # The lid closes: every address goes. It opens somewhere else.
        with ends.client.api() as api:
            for ip in ("127.0.12.1", "127.0.13.1"):
                assert api.put(f"/api/v1/addresses/{ip}", json={"available": False}).status_code == 202
            until(lambda: not any(each["available"] for each in ends.client.get("addresses")["items"]), "all are gone")
            assert both_agree(ends, "away")
            assert api.put("/api/v1/addresses/127.0.13.1", json={"available": True}).status_code == 202
        now = ends.gateway.get("counters")["counters"]
        assert now["ike_sent"] == said["ike_sent"], "three liveness intervals and more, and not a word"
        told = mobike("--socket", ends.client.socket, "back", "home")
        assert told.code == 0, told.err
        assert told.out.startswith("home: back, 127.0.13.1:")
        until(lambda: both_agree(ends, "established"), "both ends are there again")
        after = ends.client.only_sa()["sa"]
        assert (after["spi_i"], after["virtual_ips"]) == (before["spi_i"], before["virtual_ips"])
        assert after["local"] == ends.gateway.only_sa()["sa"]["remote"]
    told_of = [kind for kind in kinds(ends.gateway) if kind in {"peer-away", "peer-moved", "peer-back"}]
    assert told_of[:3] == ["peer-away", "peer-moved", "peer-back"]


@pytest.mark.req("D5.4-1")
@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        ("extensions = []\n", "not both ends offer this extension, so the peer would take us for dead"),
        ('away_at_most = "0"\n', "the peer's policy allows no absence"),
    ],
)
def test_a_refusal_says_why(mobike: Run, tmp_path: Path, theirs: str, why: str) -> None:
    with two_ends(tmp_path, gateway_more=theirs) as ends:
        until(lambda: both_agree(ends, "established"), "both ends agree")
        told = mobike("--socket", ends.client.socket, "away", "home")
        assert (told.code, told.err) == (1, f"mobike: home: Cannot be away: {why}\n")
        assert both_agree(ends, "established")
        told = mobike("--socket", ends.client.socket, "back", "home")
        assert (told.code, told.err.splitlines()[0]) == (1, "mobike: home is not away")
        told = mobike("--socket", ends.gateway.socket, "away", "rw")
        assert told.code == 1
        assert "only who begins a connection can be away" in told.err


@pytest.mark.req("D5.4-1")
def test_who_stays_away_too_long_is_down_at_both_ends_and_its_lease_is_free(mobike: Run, tmp_path: Path) -> None:
    with two_ends(tmp_path, gateway_more='away_at_most = "2s"\n') as ends:
        until(lambda: both_agree(ends, "established"), "both ends agree")
        before = ends.client.only_sa()["sa"]
        told = mobike("--socket", ends.client.socket, "away", "home", "--for", "1h")
        assert told.out == "home: Away for at most 2 s; coming back takes one exchange\n"
        # The client begins anew when the time is over: the connection is wanted.
        until(lambda: both_agree(ends, "established"), "a new tunnel")
        after = ends.client.only_sa()["sa"]
        assert after["spi_i"] != before["spi_i"]
        assert after["virtual_ips"] == before["virtual_ips"], "the lease was given back and out again"
    for end in (ends.client, ends.gateway):
        assert "IKE SA is down: away for longer than agreed" in end.log.read_text()
