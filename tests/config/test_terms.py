"""What is good for a time only: all that a configuration shows and trusts is found, and told of before it ends."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mobike.auth.trust import TrustError
from mobike.config import Settings, parse
from mobike.config.terms import Standing, Term, Use, in_force, terms, terms_of_api
from tests.auth.pki import NOW, Authority
from tests.auth.test_ocsp import respond
from tests.config.judge import Judge

DAY = timedelta(days=1)
TEXT = """\
[connections.gw]
role = "responder"
remote_id = "*"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.8.0.0/16"]
local_auth = "cert"
local_cert = "own.pem"
local_key = "own.key"
local_ocsp = "own.ocsp"
remote_auth = "cert"
remote_ca = ["ca.pem"]
remote_crl = ["ca.crl"]

[connections.phones]
role = "responder"
remote_id = "*"
local_ts = ["10.2.0.0/16"]
remote_ts = ["10.9.0.0/16"]
local_auth = "cert"
local_cert = "own.pem"
local_key = "own.key"
remote_auth = "eap"
eap = ["tls"]
remote_ca = ["phones.pem"]
remote_crl = ["phones.crl"]
"""
API = """\
[api]
tcp = "127.0.0.1:8650"
tls_certificate = "api.pem"
tls_key = "api.key"
client_ca = "admins.pem"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house with everything that can run out."""
    folder = tmp_path_factory.mktemp("house")
    authority, phones, admins = Authority.new("Sites"), Authority.new("Phones"), Authority.new("Admins")
    for name, each in (("ca", authority), ("phones", phones), ("admins", admins)):
        each.write(folder / f"{name}.pem")
    own = authority.sub("Middle").issue("gw.example.net", subject="gw")
    own.write(folder, "own")
    admins.issue("api.example.net", subject="api").write(folder, "api")
    (folder / "own.ocsp").write_bytes(respond(own, authority))
    (folder / "ca.crl").write_bytes(authority.revocations(days=6).public_bytes(Encoding.PEM))
    (folder / "phones.crl").write_bytes(phones.revocations(days=2).public_bytes(Encoding.DER))
    return folder


def settings(folder: Path, text: str = TEXT) -> Settings:
    return parse(text, Judge(), base=folder, environ={}).settings


def test_each_thing_that_runs_out_is_found_once_with_those_that_rest_on_it(folder: Path) -> None:
    config = settings(folder, API + TEXT)
    found = in_force(config, terms_of_api(config.api.tls))
    assert {(each.use, each.name.partition(",")[0], each.connections) for each in found} == {
        (Use.OWN, "CN=gw", ("gw", "phones")),
        (Use.ISSUER, "CN=Middle", ("gw", "phones")),
        (Use.AUTHORITY, "CN=Sites", ("gw",)),
        (Use.AUTHORITY, "CN=Phones", ("phones",)),
        (Use.CRL, "CN=Sites", ("gw",)),
        (Use.CRL, "CN=Phones", ("phones",)),
        (Use.OCSP, next(each.name for each in found if each.use is Use.OCSP), ("gw",)),
        (Use.API, "CN=api", ()),
        (Use.API_AUTHORITY, "CN=Admins", ()),
    }
    assert [each.until for each in found] == sorted(each.until for each in found)
    ends = {each.name.partition(",")[0]: each.until for each in found if each.use is Use.CRL}
    assert ends == {"CN=Sites": NOW + 6 * DAY, "CN=Phones": NOW + 2 * DAY}


def test_a_file_of_the_api_that_cannot_be_read_is_told_to_who_asks(folder: Path, tmp_path: Path) -> None:
    tls = settings(folder, API).api.tls
    assert tls is not None
    with pytest.raises(FileNotFoundError):
        terms_of_api(replace(tls, certificate=tmp_path / "none"))
    with pytest.raises(TrustError):
        terms_of_api(replace(tls, certificate=tls.key))


@pytest.mark.parametrize(
    ("life", "near"),
    [
        (timedelta(days=3650), timedelta(days=21)),
        (timedelta(days=90), timedelta(days=21)),
        (timedelta(days=8), timedelta(days=2)),
        (DAY, timedelta(hours=6)),
    ],
)
def test_an_end_is_near_for_three_weeks_or_for_the_last_quarter_if_that_is_less(
    life: timedelta, near: timedelta
) -> None:
    term = Term(Use.CRL, "CN=Sites", NOW, NOW + life)
    instant = timedelta(seconds=1)
    standings = [
        term.standing(at)
        for at in (NOW - instant, NOW, term.until - near - instant, term.until - near, term.until - instant, term.until)
    ]
    assert standings == [
        Standing.EARLY, Standing.GOOD, Standing.GOOD, Standing.NEAR, Standing.NEAR, Standing.PAST,
    ]  # fmt: skip


def test_a_line_names_the_thing_who_rests_on_it_the_moment_and_the_harm() -> None:
    term = Term(Use.CRL, "CN=Sites", NOW, NOW + 8 * DAY, tuple(f"site{number}" for number in range(1, 6)))
    what = "the revocation list of CN=Sites (site1, site2, site3 and 2 more)"
    assert term.said(NOW) == f"{what} is good until 2030-06-09 12:00 UTC"
    assert term.said(NOW + 7 * DAY) == f"{what} expires in 24 hours, at 2030-06-09 12:00 UTC"
    assert term.said(NOW + 9 * DAY) == (
        f"{what} has expired on 2030-06-09 12:00 UTC: it keeps out all whom that authority has certified"
    )
    assert term.said(NOW - DAY) == f"{what} is good only from 2030-06-01 12:00 UTC"
    assert (term.fix(NOW + 9 * DAY), term.fix(NOW - DAY)) == (
        "get a new one, then: mobike reload",
        "look at the clock: date -u",
    )
    api = Term(Use.API, "CN=api", NOW, NOW + 100 * DAY)
    assert api.said(NOW + 90 * DAY).startswith("the API's certificate CN=api expires in 10 days, ")
    assert "start the daemon anew" in api.fix(NOW + 90 * DAY)


def test_thousands_of_connections_on_one_authority_are_one_thing(folder: Path) -> None:
    (gw, _) = settings(folder).connections
    many = [replace(gw, profile=replace(gw.profile, name=f"gw{number}")) for number in range(2000)]
    found = terms(many)
    assert len(found) == 5
    assert all(len(each.connections) == 2000 for each in found)
