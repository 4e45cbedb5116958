"""Every error is an RFC 9457 problem: a kind that programs can tell apart, a detail and a hint for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from mobike.facade import NotFound, Refused
from mobike.facade.books import BooksError
from mobike_api import words
from mobike_api.described import Described

MEDIA_TYPE: Final = "application/problem+json"


class FieldError(Described):
    """One thing that is wrong with a request."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    detail: str
    """What is wrong."""
    pointer: str | None = None
    """Where in the body, as a JSON pointer in a fragment: `#/local`."""
    parameter: str | None = None
    """Or which parameter of the path, the query or the headers."""


class Problem(Described):
    """An error (RFC 9457)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=False)

    type: str
    """The kind of problem: `urn:problem-type:mobike:` and a name that stays the same between versions."""
    title: str
    """The kind in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What went wrong this time."""
    hint: str | None = None
    """What to do about it."""
    pointer: str | None = None
    """The part of the body that is to blame, as a JSON pointer in a fragment."""
    parameter: str | None = None
    """The parameter that is to blame."""
    errors: list[FieldError] | None = None
    """All that is wrong with the request, where that is more than one thing."""
    reasons: list[str] | None = None
    """Why the daemon is not ready."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem."""

    name: str
    title: str
    status: int

    @property
    def type(self) -> str:
        return f"urn:problem-type:mobike:{self.name}"


MALFORMED: Final = Kind("malformed", "The request cannot be read", 400)
UNAUTHORIZED: Final = Kind("unauthorized", "Who are you?", 401)
FORBIDDEN: Final = Kind("forbidden", "Not for you", 403)
NOT_FOUND: Final = Kind("not-found", "No such thing", 404)
METHOD_NOT_ALLOWED: Final = Kind("method-not-allowed", "Not with this method", 405)
REFUSED: Final = Kind("refused", "Not possible", 409)
CHANGED: Final = Kind("changed", "Not what there is", 412)
TOO_LARGE: Final = Kind("too-large", "The request is too large", 413)
INVALID: Final = Kind("invalid-request", "The request makes no sense", 422)
KEY_REUSED: Final = Kind("key-reused", "This key was for another order", 422)
TOO_OFTEN: Final = Kind("too-often", "Not so fast", 429)
INTERNAL: Final = Kind("internal", "A fault inside mobike", 500)
NOT_READY: Final = Kind("not-ready", "The daemon cannot do its work", 503)
TOO_MANY_STREAMS: Final = Kind("too-many-streams", "Too many listen already", 503)

_BY_STATUS: Final = {kind.status: kind for kind in (MALFORMED, UNAUTHORIZED, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE)}
_LOCATIONS: Final = {"query", "path", "header", "cookie"}


class ApiProblem(Exception):
    """Raised by a route that has something to say."""

    def __init__(self, kind: Kind, detail: str, **members: Any) -> None:  # noqa: ANN401 - members of Problem
        super().__init__(detail)
        self.response = problem(kind, detail, **members)


def problem(
    kind: Kind,
    detail: str,
    *,
    hint: str | None = None,
    errors: Sequence[FieldError] = (),
    reasons: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response that tells of a problem."""
    first = errors[0] if errors else FieldError(detail=detail)
    body = Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=detail,
        hint=hint,
        pointer=first.pointer,
        parameter=first.parameter,
        errors=list(errors) or None,
        reasons=list(reasons) or None,
    )
    return Response(body.model_dump_json(exclude_none=True), kind.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""

    @app.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> Response:
        return problem(NOT_FOUND, str(error))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        if error.field is None:
            return problem(REFUSED, str(error), hint=error.hint)
        known = error.field in request.query_params or error.field in request.path_params
        where = {"parameter": error.field} if known else {"pointer": f"#/{error.field}"}
        return problem(REFUSED, str(error), hint=error.hint, errors=[FieldError(detail=str(error), **where)])

    @app.exception_handler(BooksError)
    async def unwritten(_: Request, error: BooksError) -> Response:
        return problem(INTERNAL, str(error))

    @app.exception_handler(ApiProblem)
    async def said(_: Request, error: ApiProblem) -> Response:
        return error.response

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = words.sifted(error.errors())
        errors = [_field_error(details) for details in wrong]
        malformed = any(details["type"] == "json_invalid" for details in wrong)
        detail = "; ".join(f"{_place(found)}: {found.detail}" for found in errors)
        if malformed:
            return problem(MALFORMED, detail, hint="send JSON (RFC 8259), in UTF-8", errors=errors)
        hints = (words.hint(details, _operation(app, request), app.openapi()) for details in wrong)
        return problem(INVALID, detail, hint=next(filter(None, hints), None), errors=errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        kind = _BY_STATUS.get(error.status_code)
        if kind is None:
            phrase = HTTPStatus(error.status_code).phrase
            kind = Kind(phrase.lower().replace(" ", "-"), phrase, error.status_code)
        detail = {
            404: f"there is nothing at {request.url.path}",
            405: f"{request.url.path} cannot be asked with {request.method}",
        }.get(error.status_code, str(error.detail))
        if kind is METHOD_NOT_ALLOWED and (methods := ", ".join(sorted(_operations(app, request))).upper()):
            return problem(kind, detail, hint=f"ask with {methods}", headers={"Allow": methods})
        hint = "GET /api/v1/openapi.json tells what there is" if kind is NOT_FOUND else None
        return problem(kind, detail, hint=hint, headers=error.headers)


def _operations(app: FastAPI, request: Request) -> Mapping[str, Any]:
    """What can be asked of a path, by methods. The router would name those of one route; two may share a path."""
    for path, operations in app.openapi()["paths"].items():
        if compile_path(path)[0].match(request.url.path):
            return dict(operations)
    return {}


def _operation(app: FastAPI, request: Request) -> Mapping[str, Any]:
    return dict(_operations(app, request).get(request.method.lower(), {}))


def _field_error(details: Mapping[str, Any]) -> FieldError:
    where, *rest = details["loc"]
    text = words.said(details)
    if where in _LOCATIONS:
        return FieldError(detail=text, parameter=str(rest[0]) if rest else None)
    if details["type"] == "json_invalid":
        return FieldError(detail=f"is no JSON: {details.get('ctx', {}).get('error', text)}", pointer="#")
    return FieldError(detail=text, pointer=pointer_to(rest))


def pointer_to(parts: Sequence[object]) -> str:
    """A JSON pointer in a fragment."""
    return "#" + "".join(f"/{_escaped(part)}" for part in parts)


def _escaped(part: object) -> str:
    """RFC 6901 section 3."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _place(found: FieldError) -> str:
    return found.parameter or (found.pointer or "#").removeprefix("#").removeprefix("/").replace("/", ".") or "body"
