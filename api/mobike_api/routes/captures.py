"""Captures: what one IKE SA and its Child SAs send and receive, and the keys to read it by."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from mobike.facade.books import Scope
from mobike_api.caller import caller_of
from mobike_api.deps import FacadeDep, SaPath
from mobike_api.schemas import Accepted
from mobike_api.schemas_captures import Capture, CaptureKeys, CaptureOrder
from mobike_api.scopes import needs

router = APIRouter(tags=["Captures"])

CapturePath = Annotated[str, Path(alias="id", description="The id of a capture.", pattern=r"^[0-9a-f]{16}$")]
PCAPNG: Final = "application/x-pcapng"
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {PCAPNG: {"schema": {"type": "string", "format": "binary"}}}, "description": "A pcapng file."}
}


@router.post("/ike-sas/{id}/captures", status_code=201, summary="Capture an IKE SA")
@needs(Scope.ADMIN)
async def start_capture(request: Request, facade: FacadeDep, sa: SaPath, order: CaptureOrder) -> Capture:
    """Its IKE messages and, where this daemon carries them, the ESP packets of its Child SAs. One capture runs at a
    time. It is kept in memory: the last two, ten minutes long."""
    return Capture.model_validate(facade.captures.start(sa, order.seconds, by=caller_of(request.scope).name))


@router.get("/captures/{id}", summary="Show a capture")
@needs(Scope.ADMIN)
async def show_capture(facade: FacadeDep, capture: CapturePath) -> Capture:
    """How far it is, or how it ended."""
    return Capture.model_validate(facade.captures.get(capture))


@router.get("/captures/{id}/packets", summary="Fetch packets", response_class=Response, responses=_FILE)
@needs(Scope.ADMIN)
async def fetch_packets(facade: FacadeDep, capture: CapturePath) -> Response:
    """All so far, sealed as they are on the wire, as a pcapng file."""
    return Response(facade.captures.packets(capture), media_type=PCAPNG)


@router.post("/captures/{id}/keys", summary="Fetch keys")
@needs(Scope.ADMIN)
async def fetch_keys(facade: FacadeDep, capture: CapturePath) -> CaptureKeys:
    """Of all keys that were in use while it ran, in the clear. Whoever has them reads what was captured, and may forge
    while they are in use: rekey the IKE SA and its Child SAs when you are done. That they were fetched is recorded."""
    return CaptureKeys.model_validate(facade.captures.keys(capture))


@router.delete("/captures/{id}", summary="End a capture")
@needs(Scope.ADMIN)
async def end_capture(facade: FacadeDep, capture: CapturePath) -> Accepted:
    """End it if it runs, and forget what was captured."""
    facade.captures.end(capture)
    return Accepted(order="end", target=capture)
