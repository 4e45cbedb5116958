"""The application over a facade. It holds no state of its own but the streams that are open."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.middleware import Middleware

from mobike.facade import Facade
from mobike.facade.books import Books, Scope
from mobike_api import page, problems
from mobike_api.auth import OPEN, Auth
from mobike_api.conditional import Conditional
from mobike_api.guard import BodyLimit, Heads, SecurityHeaders, UpToDate, fault
from mobike_api.limits import Limiter
from mobike_api.metrics import Metrics
from mobike_api.operations import Operations
from mobike_api.preconditions import PARAMETERS, RESOURCES, Preconditions
from mobike_api.recorder import HARMLESS, Recorder
from mobike_api.repeats import PARAMETER, WITHOUT, Repeats
from mobike_api.routes import api, metrics, system
from mobike_api.scopes import needed
from mobike_api.sse import Streams
from mobike_api.tracing import Traced
from mobike_api.webhooks import Webhooks

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

OPENAPI_PATH: Final = "/api/v1/openapi.json"

_ABOUT: Final = """\
Manage mobike, an IKEv2 and MOBIKE gateway and client.

Orders are taken at once (202) and carried out by the daemon; what comes of them is seen in the events. Errors are
RFC 9457 problems. On the daemon's Unix socket its own user and root need no token.
"""
_BEARER: Final = """\
One that `POST /api/v1/tokens` has made, or the content of the daemon's token_file, which may do everything. The scope
that an operation needs is named with it: `metrics`, `read`, `operate`, `configure`, `admin`; each allows what those
before it allow."""
_CERTIFICATE: Final = "One whose name `api.clients` of the configuration knows, with its scope."
_EVERYWHERE: Final = {
    400: "The body cannot be read.",
    401: "The token is missing or wrong.",
    403: "The token is for less than this.",
    404: "There is no such thing.",
    409: "The order is not possible now.",
    413: "The body is too large.",
    422: "The request makes no sense.",
    429: "Too many requests; `Retry-After` says when there may be another.",
    500: "A fault inside mobike.",
    503: "The daemon cannot do it now.",
}


class MobikeApi(FastAPI):
    """FastAPI whose OpenAPI tells of problems and of the token."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = super().openapi()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = {
                "certificate": {"type": "mutualTLS", "description": _CERTIFICATE},
                "token": {"type": "http", "scheme": "bearer", "description": _BEARER},
            }
            problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            components["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
            schema["security"] = _either(Scope.ADMIN)
            for path, operations in schema["paths"].items():
                for method, operation in operations.items():
                    if method == "get" and "application/json" in operation["responses"]["200"]["content"]:
                        operation["responses"] |= _UNCHANGED
                    if method.upper() not in HARMLESS and not WITHOUT.fullmatch(path):
                        operation.setdefault("parameters", []).append(PARAMETER)
                        if path in RESOURCES:
                            operation["parameters"] += PARAMETERS
                            operation["responses"] |= _MEANT_FOR_ANOTHER
                    scope = needed(operation["operationId"])
                    operation["security"] = [] if path in OPEN else _either(scope)
        return self.openapi_schema or {}


_MEANT_FOR_ANOTHER: Final = {
    "412": {
        "description": "`If-Match` or `If-None-Match` asked for something else than there is.",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
_UNCHANGED: Final = {"304": {"description": "`If-None-Match` named the `ETag` of what there is to tell."}}


def _either(scope: Scope) -> list[dict[str, list[str]]]:
    return [{"token": [scope.value]}, {"certificate": [scope.value]}]


def create_app(
    facade: Facade,
    books: Books,
    *,
    token: str | None,
    streams: Streams | None = None,
    operations: Operations | None = None,
    webhooks: Webhooks | None = None,
    calls: Limiter | None = None,
    failures: Limiter | None = None,
    clients: Mapping[str, Scope] | None = None,
    version: str = "1",
    tracer: "Tracer | None" = None,
) -> FastAPI:
    """The API over `facade`. `token` may do everything; None: there is no such token."""
    passed = [
        Middleware(Heads),
        Middleware(SecurityHeaders),
        Middleware(Auth, token=token, access=books.access, calls=calls, failures=failures, clients=clients),
        *([] if tracer is None else [Middleware(Traced, tracer=tracer)]),
        Middleware(BodyLimit),
        Middleware(UpToDate, facade=facade),
        Middleware(Repeats),
        Middleware(Recorder, record=books.record),
        Middleware(Preconditions),
        Middleware(Conditional),
    ]
    app = described(version, passed)
    app.state.facade = facade
    app.state.books = books
    app.state.operations = operations or Operations(facade)
    app.state.metrics = Metrics(facade, app.state.operations, webhooks or Webhooks(facade, ()))
    app.state.streams = streams or Streams()
    problems.install(app)
    app.add_exception_handler(Exception, fault)
    return app


def described(version: str = "1", middleware: Sequence[Middleware] = ()) -> FastAPI:
    """The routes and what is said of them, without anything behind them."""
    app = MobikeApi(
        title="mobike",
        version=version,
        description=_ABOUT,
        openapi_url=OPENAPI_PATH,
        # The pages that FastAPI has for these load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Names of functions in the clients that people generate: they stay the same when a path changes.
        generate_unique_id_function=attrgetter("name"),
        responses={
            status: {
                "description": description,
                "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status, description in _EVERYWHERE.items()
        },
        middleware=middleware,
    )
    app.include_router(api)
    app.include_router(system.probes)
    app.include_router(page.router)
    app.include_router(metrics.router)
    return app
