"""A span of OpenTelemetry for each request, where somebody wants them: which operation, and how it ended; a part of the
caller's trace, if that says so (`traceparent`). Names follow the semantic conventions of HTTP. Nothing of what was said
is in it."""

from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


_TRACE: Final = frozenset({b"traceparent", b"tracestate"})


class Traced:
    """Behind the door: strangers make no spans."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.propagate import extract  # noqa: PLC0415 - an extra
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - an extra

        method, status = scope["method"], 500
        known = {"http.request.method": method, "url.path": scope["path"], "url.scheme": scope["scheme"]}
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _TRACE}
        span = self._tracer.start_span(method, extract(sent), kind=SpanKind.SERVER, attributes=known)

        async def look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, look)
        finally:
            route, operation = _route(scope), getattr(scope.get("endpoint"), "__name__", None)
            if route is not None:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
            if operation is not None:
                span.set_attribute("mobike.operation", operation)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(Status(StatusCode.ERROR))
            span.end()


def _route(scope: Scope) -> str | None:
    """A route knows its own part alone: what stands before it is as in the path."""
    own: str | None = getattr(scope.get("route"), "path", None)
    return own and "/".join(scope["path"].split("/")[: -own.count("/")]) + own
