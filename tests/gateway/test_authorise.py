"""A daemon asks an operator's class about each client that has proved who it is by a shared key."""

import json
from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from tests.cli.ends import two_ends, until

MODULE = """\
import asyncio
from ipaddress import ip_network
from mobike.auth.visitors import Admit, Refuse

class Door:
    async def judge(self, visitor):
        await asyncio.sleep(0.01)
        assert visitor.connection == "rw" and visitor.peer_id == "you@example.net" and not visitor.certificates
        return Admit()

class Shut:
    def judge(self, visitor):
        return Refuse(f"{visitor.peer_id} returned the badge")

class Guests:
    def judge(self, visitor):
        return Admit(networks=(ip_network("10.1.0.0/24"), ip_network("192.0.2.0/24")), pool="guests")

class Lost:
    def judge(self, visitor):
        return Admit(networks=(ip_network("192.0.2.0/24"),))

class Elsewhere:
    def judge(self, visitor):
        return Admit(pool="guests")

class Hangs:
    async def judge(self, visitor):
        await asyncio.sleep(60)
"""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site_door.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_who_is_welcome_comes_in(tmp_path: Path) -> None:
    with two_ends(tmp_path, gateway_more='authorise = "site_door:Door"\n') as ends:
        until(lambda: (sa := ends.client.only_sa()) and sa["children"], "a tunnel")
        told = [json.loads(line) for line in ends.gateway.log.read_text().splitlines() if line.startswith("{")]
        (up,) = (each for each in told if each["event"] == "sa-up")
        exchanges = ends.gateway.get(f"ike-sas/{up['sa']}/exchanges")["items"]
        (auth,) = (each for each in exchanges if each["topic"] == "auth")
        assert up["exchange"] == f"peer:{auth['message_id']}", "the IKE_AUTH that waited for its word"


@pytest.mark.parametrize(
    ("name", "within", "why"),
    [
        ("Shut", "9s", "the authoriser says no: you@example.net returned the badge"),
        ("Hangs", "200ms", "no word within 0.2 s"),
    ],
)
def test_who_is_not_stays_outside_and_the_log_says_whose_word_it_was(
    tmp_path: Path, name: str, within: str, why: str
) -> None:
    orders = f'authorise = "site_door:{name}"\nauthorise_within = "{within}"\n'
    with two_ends(tmp_path, gateway_more=orders) as ends:
        until(lambda: why in ends.gateway.log.read_text(), why)
        assert ends.gateway.get("ike-sas")["items"] == []
        assert ends.client.only_sa() is None


def test_it_may_say_where_a_peer_leases_from_and_what_it_reaches(tmp_path: Path) -> None:
    pools = '[pools.guests]\nranges = ["10.98.0.0/24"]\n'
    with two_ends(tmp_path, gateway_more=f'authorise = "site_door:Guests"\n{pools}') as ends:
        until(lambda: (sa := ends.client.only_sa()) and sa["children"], "a tunnel")
        sa = ends.client.only_sa()
        assert sa["sa"]["virtual_ips"] == ["10.98.0.1"]
        (child,) = sa["children"]
        assert (child["local_ts"], child["remote_ts"]) == (["10.98.0.1/32"], ["10.1.0.1/32"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Lost", "nothing that its connection carries is within the reach"),
        ("Elsewhere", "a pool that is not in [pools]"),
    ],
)
def test_what_it_says_and_cannot_be_keeps_a_peer_outside(tmp_path: Path, name: str, why: str) -> None:
    with two_ends(tmp_path, gateway_more=f'authorise = "site_door:{name}"\n') as ends:
        until(lambda: why in ends.gateway.log.read_text(), why)
        assert ends.gateway.get("ike-sas")["items"] == []
