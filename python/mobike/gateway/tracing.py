"""What takes time, as spans of OpenTelemetry: IKE SAs set up, rekeyed and moved, Child SAs opened and rekeyed. Off
unless the environment names a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`), and an extra: `mobike[otel]`.

A span begins where this daemon knows that it began: with the order, or as long before the answer as the round trip
took. What a peer begins is told as a moment. Names of attributes are those of the semantic conventions (`network.*`,
`error.type`) where these have one, else `mobike.*`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from mobike.address import ChildId, Path, SaId, Token
from mobike.commands import Command, Connect, OpenChild, Rekey, RekeyChild
from mobike.events import (
    ChildDown,
    ChildFailed,
    ChildUp,
    ConnectFailed,
    Event,
    IkeSaDown,
    IkeSaRekeyed,
    IkeSaUp,
    Moved,
    MoveRefused,
    PeerMoved,
)
from mobike.fleet.views import SessionRow

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = structlog.get_logger()

ASKS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Any of these turns it on. All else is as OpenTelemetry's own variables say."""
MOST_BEGUN: Final = 4096
"""Beginnings that are remembered; the oldest are forgotten first."""

Attributes = dict[str, str | int | bool]
_Begun = tuple[str, Token | SaId | ChildId | tuple[SaId, str]]
"""Set-ups by their token, rekeys by the SA, Child SAs that are opened by IKE SA and name."""


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
        self,
        tracer: "Tracer",
        row: Callable[[SaId], SessionRow | None],
        clock: Callable[[], int] = time.time_ns,
        origin: Callable[[Event], str | None] = lambda _: None,
    ) -> None:
        """`origin`: the exchange that an event came of."""
        self._tracer = tracer
        self._row = row
        self._clock = clock
        self._origin = origin
        self._begun: dict[_Begun, tuple[int, Attributes]] = {}
        self._children: dict[SaId, dict[ChildId, str]] = {}
        """Those that are up, and their names: one that comes beside another of its name takes its place."""

    def see(self, events: Iterable[Event], commands: Sequence[Command]) -> None:
        """One turn."""
        now = self._clock()
        for event in events:
            self._take(event, now)
        for command in commands:
            match command:
                case Connect():
                    peers = ", ".join(str(path.remote.ip) for path in command.paths)
                    about: Attributes = {"mobike.connection": command.connection, "mobike.peers": peers}
                    self._begin(("setup", command.token), now, about)
                case Rekey():
                    self._begin(("rekey", command.sa), now, {})
                case RekeyChild():
                    self._begin(("child-rekey", command.child), now, {})
                case OpenChild():
                    self._begin(("child-setup", (command.sa, command.name)), now, {})
                case _:
                    pass

    def _take(self, event: Event, now: int) -> None:
        match event:
            case IkeSaUp():
                at, known = self._end(None if event.token is None else ("setup", event.token), now)
                about = known | self._about(event, event.path) | {"mobike.role": event.role.value}
                about |= {"mobike.suite": event.suite, "mobike.mobike": event.mobike}
                self._write("ike.setup", at, now, about)
            case ConnectFailed():
                at, known = self._end(("setup", event.token), now)
                known |= {"mobike.role": "initiator", "error.type": event.reason or "connect-failed"}
                self._write("ike.setup", at, now, known, failed=event.why)
            case IkeSaRekeyed():
                at, _ = self._end(("rekey", event.sa), now)
                about = self._about(event) | {"mobike.by_us": event.by_us, "mobike.suite": event.suite}
                self._write("ike.rekey", at, now, about)
            case Moved():
                self._write("ike.move", now - event.rtt, now, self._about(event, event.path))
            case MoveRefused():
                about = self._about(event, event.path) | {"error.type": "move-refused"}
                self._write("ike.move", now, now, about, failed="the peer refused the pair of addresses")
            case PeerMoved():
                about = self._about(event, event.path) | {"mobike.verified": event.verified}
                self._write("ike.peer-move", now, now, about)
            case ChildUp() | ChildFailed() | ChildDown():
                self._take_child(event, now)
            case IkeSaDown():
                self._begun.pop(("rekey", event.sa), None)
                self._children.pop(event.sa, None)
            case _:
                pass

    def _take_child(self, event: ChildUp | ChildFailed | ChildDown, now: int) -> None:
        known = self._children.setdefault(event.sa, {})
        match event:
            case ChildUp():
                before = [child for child, name in known.items() if name == event.name]
                known[event.child] = event.name
                about = self._about(event) | {"mobike.child": event.name, "mobike.suite": event.suite}
                if before:
                    begun = [self._end(("child-rekey", child), now)[0] for child in before]
                    self._write("ike.child-rekey", min(begun), now, about)
                elif ("child-setup", (event.sa, event.name)) in self._begun:
                    at, _ = self._end(("child-setup", (event.sa, event.name)), now)
                    self._write("ike.child-setup", at, now, about)
            case ChildFailed():
                at, _ = self._end(("child-setup", (event.sa, event.name)), now)
                about = self._about(event) | {"mobike.child": event.name, "error.type": "child-failed"}
                self._write("ike.child-setup", at, now, about, failed=event.why)
            case ChildDown():
                known.pop(event.child, None)
                self._begun.pop(("child-rekey", event.child), None)

    def _begin(self, what: _Begun, at: int, about: Attributes) -> None:
        self._begun[what] = (at, about)
        if len(self._begun) > MOST_BEGUN:
            del self._begun[next(iter(self._begun))]

    def _end(self, what: _Begun | None, now: int) -> tuple[int, Attributes]:
        """When it began, and what was known then; now, where nobody knows."""
        return (now, {}) if what is None else self._begun.pop(what, (now, {}))

    def _about(self, event: Event, path: Path | None = None) -> Attributes:
        about: Attributes = {}
        sa: SaId | None = getattr(event, "sa", None)
        if sa is not None:
            about["mobike.ike_sa"] = f"{sa:016x}"
            if (row := self._row(sa)) is not None:
                about |= {"mobike.connection": row.connection, "mobike.peer_id": row.peer_id}
        if path is not None:
            about |= _network(path)
        if (exchange := self._origin(event)) is not None:
            about["mobike.exchange"] = exchange
        return about

    def _write(self, name: str, at: int, now: int, about: Attributes, *, failed: str | None = None) -> None:
        span = self._tracer.start_span(name, start_time=at, attributes=about)
        if failed is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(now)


def _network(path: Path) -> Attributes:
    """By the semantic conventions of OpenTelemetry."""
    return {
        "network.transport": path.transport.value,
        "network.local.address": str(path.local.ip),
        "network.local.port": path.local.port,
        "network.peer.address": str(path.remote.ip),
        "network.peer.port": path.remote.port,
    }
