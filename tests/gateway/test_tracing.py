"""Spans of set-ups, rekeys, moves and requests, as OpenTelemetry's own exporter in memory gets them; off by default."""

import gzip
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path as FilePath
from typing import ClassVar

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from mobike.address import ChildId, Endpoint, Generation, Nanos, Path, SaId, Token
from mobike.commands import Command, Connect, OpenChild, Rekey, RekeyChild
from mobike.events import (
    ChildDown,
    ChildFailed,
    ChildUp,
    ConnectFailed,
    Event,
    IkeSaRekeyed,
    IkeSaUp,
    Moved,
    MoveRefused,
    Nat,
    PeerMoved,
    Role,
)
from mobike.fleet.views import SessionRow
from mobike.gateway.tracing import MOST_BEGUN, Spans, tracer
from mobike_api import create_app
from tests.api.books import some_books
from tests.api.house import a_house
from tests.cli.ends import until

TOKEN = "correct-horse-battery-staple-0123456789"
PATH = Path(Endpoint(IPv4Address("192.0.2.10"), 4500), Endpoint(IPv4Address("198.51.100.7"), 4500))
SA = SaId(0x1F)
ROW = SessionRow(
    sa=SA,
    connection="office",
    role=Role.INITIATOR,
    state="established",
    path=PATH,
    nat=Nat.NONE,
    peer_id="gw.example.net",
    mobike=True,
    suite="suite",
    spi_i=1,
    spi_r=2,
    virtual_ips=(),
    since=Nanos(0),
    moves=0,
)
NETWORK = {
    "network.transport": "udp",
    "network.local.address": "192.0.2.10",
    "network.local.port": 4500,
    "network.peer.address": "198.51.100.7",
    "network.peer.port": 4500,
}
CONNECT = Connect(Token(7), "office", (PATH,), 4500)


@dataclass
class Collected:
    """A collector in memory."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    now: int = 1_000

    def __post_init__(self) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = provider.get_tracer("test")
        self.spans = Spans(self.tracer, {SA: ROW}.get, clock=lambda: self.now)

    def after(self, *events: Event, at: int, commands: tuple[Command, ...] = ()) -> list[ReadableSpan]:
        """The spans that this turn has ended."""
        self.exporter.clear()
        self.now = at
        self.spans.see(events, commands)
        return list(self.exporter.get_finished_spans())


def up(token: int | None = 7, role: Role = Role.INITIATOR) -> IkeSaUp:
    of = None if token is None else Token(token)
    return IkeSaUp(SA, of, "office", role, PATH, Nat.NONE, "gw.example.net", True, (), (), 1, 2, "suite")


def test_setting_up_takes_from_the_order_to_the_ike_sa() -> None:
    here = Collected()
    assert here.after(at=1_000, commands=(CONNECT,)) == []
    (span,) = here.after(up(), at=5_000)
    assert (span.name, span.start_time, span.end_time) == ("ike.setup", 1_000, 5_000)
    assert dict(span.attributes or {}) == {
        "mobike.connection": "office",
        "mobike.peers": "198.51.100.7",
        "mobike.ike_sa": "000000000000001f",
        "mobike.peer_id": "gw.example.net",
        "mobike.role": "initiator",
        "mobike.suite": "suite",
        "mobike.mobike": True,
        **NETWORK,
    }


def test_one_that_fails_says_why() -> None:
    here = Collected()
    here.after(at=1_000, commands=(CONNECT,))
    failed = ConnectFailed(Token(7), "nobody answers", (PATH,), reason="no-answer")
    (span,) = here.after(failed, at=9_000)
    assert (span.attributes or {})["error.type"] == "no-answer"
    assert (span.start_time, span.end_time) == (1_000, 9_000)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "nobody answers")


def test_what_a_peer_begins_is_a_moment() -> None:
    (span,) = Collected().after(up(None, Role.RESPONDER), at=5_000)
    assert (span.name, span.start_time, span.end_time) == ("ike.setup", 5_000, 5_000)


def test_a_rekey_takes_from_the_order_to_the_new_keys() -> None:
    here = Collected()
    here.after(at=1_000, commands=(Rekey(SA),))
    (span,) = here.after(IkeSaRekeyed(SA, 3, 4, "suite", True), at=3_000)
    assert (span.name, span.start_time, span.end_time) == ("ike.rekey", 1_000, 3_000)
    (again,) = here.after(IkeSaRekeyed(SA, 5, 6, "suite", False), at=8_000)
    assert (again.start_time, again.end_time) == (8_000, 8_000)


def test_a_move_takes_its_round_trip() -> None:
    here = Collected()
    (span,) = here.after(Moved(SA, PATH, Generation(1), Nat.NONE, Nanos(400)), at=9_000)
    assert (span.name, span.start_time, span.end_time) == ("ike.move", 8_600, 9_000)
    assert NETWORK.items() <= dict(span.attributes or {}).items()
    (refused,) = here.after(MoveRefused(SA, PATH, Generation(1)), at=9_500)
    assert refused.status.status_code is StatusCode.ERROR
    (theirs,) = here.after(PeerMoved(SA, PATH, Nat.NONE, True), at=9_900)
    assert theirs.name == "ike.peer-move"


def child(number: int, name: str = "data") -> ChildUp:
    return ChildUp(SA, ChildId(number), name, 1, 2, "aes128gcm16", (), (), True)


def test_a_child_sa_in_the_place_of_another_is_a_rekey_from_the_order_to_the_new_one() -> None:
    here = Collected()
    assert here.after(up(), child(1), at=1_000)[1:] == [], "the first one came with its IKE SA"
    here.after(at=2_000, commands=(RekeyChild(ChildId(1)),))
    (span,) = here.after(child(2), ChildDown(SA, ChildId(1), "replaced"), at=3_000)
    assert (span.name, span.start_time, span.end_time) == ("ike.child-rekey", 2_000, 3_000)
    assert dict(span.attributes or {}) == {
        "mobike.ike_sa": "000000000000001f",
        "mobike.connection": "office",
        "mobike.peer_id": "gw.example.net",
        "mobike.child": "data",
        "mobike.suite": "aes128gcm16",
    }
    (theirs,) = here.after(child(3), ChildDown(SA, ChildId(2), "replaced"), at=4_000)
    assert (theirs.name, theirs.start_time) == ("ike.child-rekey", 4_000)
    assert here.after(ChildDown(SA, ChildId(3), "closed"), child(4), at=5_000) == [], "it took nobody's place"
    assert here.after(child(5, "voice"), at=6_000) == []


def test_another_child_sa_takes_from_the_order_to_its_keys_or_to_the_refusal() -> None:
    here = Collected()
    here.after(up(), child(1), at=1_000)
    here.after(at=2_000, commands=(OpenChild(SA, "voice"), OpenChild(SA, "video")))
    opened, failed = here.after(child(2, "voice"), ChildFailed(SA, "video", "refused"), at=3_000)
    assert [(each.name, each.start_time) for each in (opened, failed)] == [("ike.child-setup", 2_000)] * 2
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "refused")
    assert (failed.attributes or {})["error.type"] == "child-failed"


def test_beginnings_that_never_end_are_forgotten() -> None:
    here = Collected()
    many = tuple(Connect(Token(number), "office", (PATH,), 4500) for number in range(MOST_BEGUN + 1))
    here.after(at=1_000, commands=many)
    (span,) = here.after(up(0), at=5_000)
    assert span.start_time == 5_000
    (span,) = here.after(up(1), at=5_000)
    assert span.start_time == 1_000


async def test_each_request_has_one_without_what_was_said() -> None:
    here = Collected()
    app = create_app(a_house(), some_books(), token=TOKEN, tracer=here.tracer)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mobike") as api:
        await api.get("/api/v1/connections")
        assert here.exporter.get_finished_spans() == (), "strangers make no spans"
        secret = {"kind": "psk", "content": "a horse nobody knows"}
        await api.put("/api/v1/credentials/annex", json=secret, headers=headers)
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        caller = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        await api.get("/api/v1/connections/nobody", headers=headers | caller)
    put, get = here.exporter.get_finished_spans()
    assert (put.name, get.name) == ("PUT /api/v1/credentials/{name}", "GET /api/v1/connections/{name}")
    assert (put.attributes or {})["mobike.operation"] == "put_credential"
    assert (get.attributes or {})["url.path"] == "/api/v1/connections/nobody"
    assert get.context is not None
    assert f"{get.context.trace_id:032x}" == trace, "it is a part of its caller's trace"
    assert [(each.attributes or {})["http.response.status_code"] for each in (put, get)] == [200, 404]
    assert "horse" not in put.to_json()
    assert TOKEN not in put.to_json()


def test_nothing_is_sent_and_nothing_imported_unless_somebody_asks() -> None:
    assert tracer({}, "1") is None
    assert tracer({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, "1") is None
    code = """
import sys, mobike_api
from mobike.gateway import run, tracing
tracing.tracer({}, "1")
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_one_who_asks_gets_a_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tracer({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "1")
    assert made is not None


class Sink(BaseHTTPRequestHandler):
    """A collector on a real socket."""

    got: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(octets) if self.headers.get("Content-Encoding") == "gzip" else octets
        self.got.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        """Not to standard error."""


def test_a_running_gateway_sends_them_to_a_collector(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mobike._core", reason="needs the core: this is a real daemon")
    from tests.gateway.rig import GATEWAY_IP, client, gateway  # noqa: PLC0415

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as sink:
        thread = threading.Thread(target=sink.serve_forever)
        thread.start()
        try:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{sink.server_address[1]}")
            monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
            with gateway(tmp_path) as house, client("127.0.26.1") as one:
                one.connect(GATEWAY_IP, (house.ike, house.natt))
                house.get("config")

                def told() -> bytes:
                    return b"".join(body for path, body in Sink.got if path == "/v1/traces")

                until(lambda: b"GET /api/v1/config" in told() and b"ike.setup" in told(), "the collector has them")
                assert b"honest@example.net" in told()
        finally:
            sink.shutdown()
            thread.join()
