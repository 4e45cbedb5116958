"""The daemon says before a certificate or a revocation list ends, once, and once when it has; and each has a number."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

pytest.importorskip("mobike._core", reason="needs the core: one of these is a real daemon")

from mobike.config.terms import Term, Use
from mobike.gateway.expiry import Expiry
from tests.auth.pki import NOW, Authority
from tests.cli.ends import until
from tests.gateway.rig import gateway

DAY = timedelta(days=1)
BRANCH = """
[connections.branch]
role = "responder"
remote_id = "*@branch.example.org"
local_ts = ["10.3.0.1/32"]
remote_ts = ["10.9.0.0/16"]
local_auth = "cert"
local_cert = "own.pem"
local_key = "own.key"
remote_auth = "cert"
remote_ca = ["ca.pem"]
remote_crl = ["ca.crl"]
"""


def test_each_is_told_once_when_it_is_near_and_once_when_it_is_over_and_a_new_one_anew() -> None:
    lists = [Term(Use.CRL, "CN=Sites", NOW, NOW + 8 * DAY, ("gw",))]
    told: list[tuple[str, str]] = []
    expiry = Expiry(lambda: tuple(lists), lambda kind, text: told.append((kind, text)))

    def kinds_between(first: float, last: float) -> list[str]:
        """What is told by a look each hour, in days."""
        told.clear()
        for hour in range(int(first * 24), int(last * 24)):
            expiry.look(NOW + hour * DAY / 24)
        return [kind for kind, _ in told]

    assert kinds_between(0, 5.9) == []
    assert kinds_between(5.9, 7.9) == ["credential-near"]
    assert told[0][1].endswith("; get a new one, then: mobike reload")
    assert kinds_between(7.9, 10) == ["credential-past"]
    # A new one comes by a reload, good again; then nobody fetches the next.
    lists[0] = Term(Use.CRL, "CN=Sites", NOW + 10 * DAY, NOW + 18 * DAY, ("gw",))
    assert kinds_between(10, 15) == []
    assert kinds_between(15, 30) == ["credential-near", "credential-past"]
    # The clock was set back.
    assert kinds_between(0, 1) == ["credential-early"]


def test_a_daemon_says_that_a_list_is_about_to_end_until_it_has_another_one(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    authority = Authority.new("Sites", at=now)
    authority.write(tmp_path / "ca.pem")
    authority.issue("gw.example.net", subject="gw").write(tmp_path, "own")
    # It has been good for 47 hours, and will be for one more.
    listed = authority.revocations(at=now + DAY / 24 - DAY, days=1)
    (tmp_path / "ca.crl").write_bytes(listed.public_bytes(Encoding.PEM))
    with gateway(tmp_path, more=BRANCH) as house:
        until(lambda: "credential-near" in house.end.log.read_text(), "it is said")
        (line,) = [line for line in house.log() if line["event"] == "credential-near"]
        assert line["level"] == "warning"
        assert line["text"].startswith("the revocation list of CN=Sites,O=Example (branch) expires in 5")
        assert line["text"].endswith(" UTC; get a new one, then: mobike reload")
        (event,) = house.get("events/past?kind=credential-near")["items"]
        assert event["text"] == line["text"]
        assert ends(house.api.get("/metrics").text)["crl"] == (now + DAY / 24).timestamp()

        fresh = authority.revocations(at=now, days=30)
        (tmp_path / "ca.crl").write_bytes(fresh.public_bytes(Encoding.PEM))
        assert house.api.post("/api/v1/config/apply", json={}).status_code == 200
        told = ends(house.api.get("/metrics").text)
        assert told["crl"] == (now + 30 * DAY).timestamp()
        assert set(told) == {"own", "authority", "crl"}
        assert told["own"] == told["authority"] > told["crl"]


def ends(text: str) -> dict[str, float]:
    """By use."""
    name = "mobike_credential_expires_timestamp_seconds{"
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return {line.split('use="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}
