"""TLS on TCP for real: who shows which certificate may do what."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from mobike.cli.api import Api, Target
from mobike.cli.failure import ExitCode, Failure
from mobike.facade.books import Scope
from mobike_api import ApiServer, ApiStartError, Tls
from mobike_api.tls import scope_of
from tests.api.books import some_books
from tests.api.house import House, a_house
from tests.auth.pki import CLIENT, SERVER, Authority

CLIENTS = {"orchestrator.example.net": Scope.OPERATE, "graphs@example.net": Scope.METRICS}


@dataclass
class Served:
    folder: Path
    authority: Authority
    house: House
    server: ApiServer
    token: str

    def client(self, *names: str, by: Authority | None = None, token: str | None = None) -> httpx.AsyncClient:
        """Somebody with a certificate for these names; without names they show none."""
        assert self.server.tcp_address is not None
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if names:
            (by or self.authority).issue(*names, purposes=[CLIENT]).write(self.folder, "caller")
            context.load_cert_chain(self.folder / "caller.pem", self.folder / "caller.key")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"https://127.0.0.1:{self.server.tcp_address[1]}"
        return httpx.AsyncClient(base_url=url, headers=headers, verify=context, trust_env=False)


@asynccontextmanager
async def serving(folder: Path, *, mutual: bool = True) -> AsyncIterator[Served]:
    authority = Authority.new(at=datetime.now(UTC))
    authority.write(folder / "ca.pem")
    authority.issue(ip_address("127.0.0.1"), purposes=[SERVER]).write(folder, "api")
    tls = Tls(folder / "api.pem", folder / "api.key", folder / "ca.pem" if mutual else None, CLIENTS)
    house, place = a_house(), folder / "api.sock"
    server = ApiServer(house, some_books(), socket=place, tcp=("127.0.0.1", 0), token_file=folder / "token", tls=tls)
    await server.start()
    try:
        yield Served(folder, authority, house, server, (folder / "token").read_text().strip())
    finally:
        await server.stop()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as served:
        yield served


async def test_a_certificate_whose_name_is_known_may_do_what_its_scope_says(served: Served) -> None:
    async with served.client("orchestrator.example.net") as api:
        assert (await api.post("/api/v1/connections/office/up")).status_code == 202
        assert (await api.get("/api/v1/tokens")).status_code == 403
    async with served.client("graphs@example.net") as api:
        assert (await api.get("/api/v1/counters")).status_code == 200
        assert (await api.get("/api/v1/ike-sas")).status_code == 403
    assert served.house.orders == ["up office"]


async def test_the_record_names_the_certificate(served: Served) -> None:
    async with served.client("orchestrator.example.net") as api:
        await api.post("/api/v1/connections/office/up")
    async with served.client("anybody.example.net", token=served.token) as api:
        (deed,) = (await api.get("/api/v1/audit")).json()["items"]
    assert (deed["caller"], deed["address"]) == ("certificate orchestrator.example.net", "127.0.0.1")


async def test_a_certificate_whose_name_nobody_knows_needs_a_token(served: Served) -> None:
    async with served.client("anybody.example.net") as api:
        assert (await api.get("/api/v1/counters")).status_code == 401
    async with served.client("anybody.example.net", token=served.token) as api:
        assert (await api.get("/api/v1/tokens")).status_code == 200


async def test_who_shows_a_wrong_token_is_not_saved_by_a_certificate(served: Served) -> None:
    async with served.client("orchestrator.example.net", token="wrong" * 9) as api:
        assert (await api.get("/api/v1/counters")).status_code == 401


async def test_without_a_certificate_of_ours_nobody_gets_a_word(served: Served) -> None:
    stranger = Authority.new("Other CA", at=datetime.now(UTC))
    for api in (served.client(token=served.token), served.client("orchestrator.example.net", by=stranger)):
        async with api:
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await api.get("/livez")


async def test_where_nobody_is_asked_for_certificates_tokens_are_enough(tmp_path: Path) -> None:
    async with serving(tmp_path, mutual=False) as served:
        async with served.client(token=served.token) as api:
            assert (await api.get("/api/v1/ike-sas")).status_code == 200
        async with served.client("orchestrator.example.net") as api:
            assert (await api.get("/api/v1/ike-sas")).status_code == 401


async def test_a_command_believes_whom_the_authority_that_it_is_told_of_has_signed(tmp_path: Path) -> None:
    async with serving(tmp_path, mutual=False) as served:
        assert served.server.tcp_address is not None
        url = f"https://127.0.0.1:{served.server.tcp_address[1]}"

        def ask(ca_file: Path | None) -> int:
            with Api(Target(url=url, token_file=tmp_path / "token", ca_file=ca_file)) as api:
                return len(api.get("connections")["items"])

        assert await asyncio.to_thread(ask, tmp_path / "ca.pem")
        with pytest.raises(Failure, match="is not believed: unable to get local issuer certificate") as caught:
            await asyncio.to_thread(ask, None)
        assert caught.value.hint is not None and "--ca-file" in caught.value.hint
        with pytest.raises(Failure, match="cannot read certificates") as caught:
            await asyncio.to_thread(ask, tmp_path / "missing.pem")
        assert caught.value.code is ExitCode.USAGE


async def test_the_unix_socket_speaks_without_tls_all_the_same(served: Served) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(served.folder / "api.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://mobike") as api:
        assert (await api.get("/api/v1/ike-sas")).status_code == 200


async def test_plain_text_is_not_answered_where_tls_is_spoken(served: Served) -> None:
    assert served.server.tcp_address is not None
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.server.tcp_address[1]}") as api:
        with pytest.raises(httpx.TransportError):
            await api.get("/livez")


@pytest.mark.parametrize("missing", ["api.pem", "api.key", "ca.pem"])
async def test_files_that_are_no_good_are_named(tmp_path: Path, missing: str) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    authority.write(tmp_path / "ca.pem")
    authority.issue(ip_address("127.0.0.1"), purposes=[SERVER]).write(tmp_path, "api")
    (tmp_path / missing).unlink()
    tls = Tls(tmp_path / "api.pem", tmp_path / "api.key", tmp_path / "ca.pem")
    server = ApiServer(
        a_house(), some_books(), socket=None, tcp=("127.0.0.1", 0), token_file=tmp_path / "token", tls=tls
    )
    with pytest.raises(ApiStartError, match=f"cannot start: .*{missing}.* cannot be used"):
        await server.start()


def test_of_several_names_the_one_that_may_do_least_counts() -> None:
    assert scope_of(list(CLIENTS), CLIENTS) == ("graphs@example.net", Scope.METRICS)
    assert scope_of(["x", "orchestrator.example.net"], CLIENTS) == ("orchestrator.example.net", Scope.OPERATE)
    assert scope_of(["x"], CLIENTS) is None
