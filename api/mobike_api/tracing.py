"""A span of OpenTelemetry for each request, where somebody wants them: which operation, and how it ended. Nothing of
what was said is in it."""

from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


class Traced:
    """Behind the door: strangers make no spans."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - an extra

        span = self._tracer.start_span("api", kind=SpanKind.SERVER)
        span.set_attribute("http.request.method", scope["method"])
        status = 500

        async def look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, look)
        finally:
            operation = getattr(scope.get("endpoint"), "__name__", None)
            if operation is not None:
                span.update_name(f"api {operation}")
                span.set_attribute("mobike.operation", operation)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            span.end()
