"""What takes time, as spans of OpenTelemetry: IKE SAs set up, rekeyed and moved. Off unless the environment names a
collector (`OTEL_EXPORTER_OTLP_ENDPOINT`), and an extra: `mobike[otel]`.

A span begins where this daemon knows that it began: with the order, or as long before the answer as the round trip
took. What a peer begins is told as a moment.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from mobike.address import SaId, Token
from mobike.commands import Command, Connect, Rekey
from mobike.events import ConnectFailed, Event, IkeSaDown, IkeSaRekeyed, IkeSaUp, Moved, MoveRefused, PeerMoved
from mobike.fleet.views import SessionRow

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = structlog.get_logger()

ASKS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Any of these turns it on. All else is as OpenTelemetry's own variables say."""
MOST_BEGUN: Final = 4096
"""Beginnings that are remembered; the oldest are forgotten first."""

Attributes = dict[str, str | int | bool]


def tracer(environ: Mapping[str, str], version: str) -> "Tracer | None":
    """Where spans go; None: nowhere. It sends in a thread of its own, and drops what it cannot send."""
    if not any(environ.get(name) for name in ASKS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as problem:
        log.warning("daemon.traces", text=f"no spans are sent: {problem}; install mobike[otel]")
        return None
    name = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "mobike"}
    provider = TracerProvider(resource=Resource.create({**name, "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("mobike", version)


class Spans:
    """Sees every turn."""

    def __init__(
        self, tracer: "Tracer", row: Callable[[SaId], SessionRow | None], clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._tracer = tracer
        self._row = row
        self._clock = clock
        self._begun: dict[Token | SaId, tuple[int, Attributes]] = {}
        """Set-ups by their token, rekeys by the IKE SA."""

    def see(self, events: Iterable[Event], commands: Sequence[Command]) -> None:
        """One turn."""
        now = self._clock()
        for event in events:
            self._take(event, now)
        for command in commands:
            match command:
                case Connect():
                    peers = ", ".join(str(path.remote.ip) for path in command.paths)
                    self._begin(command.token, now, {"mobike.connection": command.connection, "mobike.peers": peers})
                case Rekey():
                    self._begin(command.sa, now, {})
                case _:
                    pass

    def _take(self, event: Event, now: int) -> None:
        match event:
            case IkeSaUp():
                at, known = self._begun.pop(event.token, (now, {})) if event.token is not None else (now, {})
                about = self._about(event.sa) | {"mobike.role": event.role.value, "mobike.suite": event.suite}
                self._write("ike.setup", at, now, known | about | {"mobike.mobike": event.mobike})
            case ConnectFailed():
                at, known = self._begun.pop(event.token, (now, {}))
                self._write("ike.setup", at, now, known | {"mobike.role": "initiator"}, failed=event.why)
            case IkeSaRekeyed():
                at, _ = self._begun.pop(event.sa, (now, {}))
                about = self._about(event.sa) | {"mobike.by_us": event.by_us, "mobike.suite": event.suite}
                self._write("ike.rekey", at, now, about)
            case Moved():
                about = self._about(event.sa) | {"mobike.path": str(event.path)}
                self._write("ike.move", now - event.rtt, now, about)
            case MoveRefused():
                about = self._about(event.sa) | {"mobike.path": str(event.path)}
                self._write("ike.move", now, now, about, failed="the peer refused the pair of addresses")
            case PeerMoved():
                about = self._about(event.sa) | {"mobike.path": str(event.path), "mobike.verified": event.verified}
                self._write("ike.peer-move", now, now, about)
            case IkeSaDown():
                self._begun.pop(event.sa, None)
            case _:
                pass

    def _begin(self, what: Token | SaId, at: int, about: Attributes) -> None:
        self._begun[what] = (at, about)
        if len(self._begun) > MOST_BEGUN:
            del self._begun[next(iter(self._begun))]

    def _about(self, sa: SaId) -> Attributes:
        row, named = self._row(sa), {"mobike.ike_sa": f"{sa:016x}"}
        if row is None:
            return {**named}
        return {**named, "mobike.connection": row.connection, "mobike.peer_id": row.peer_id}

    def _write(self, name: str, at: int, now: int, about: Attributes, *, failed: str | None = None) -> None:
        span = self._tracer.start_span(name, start_time=at, attributes=about)
        if failed is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(now)
