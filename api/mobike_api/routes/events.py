"""What happens, as it happens."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep, StreamsDep
from mobike_api.problems import TOO_MANY_STREAMS, ApiProblem
from mobike_api.schemas import EventPage, EventQuery, Left
from mobike_api.scopes import needs

router = APIRouter(prefix="/events", tags=["Events"])

_MAX_SEQ: Final = 1 << 62
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events without end: the id is the event's `seq`, the name its kind, the data an `Event`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("", summary="Follow events", response_class=StreamingResponse, responses=_STREAM)
@needs(Scope.READ)
async def follow_events(
    facade: FacadeDep,
    streams: StreamsDep,
    last_event_id: Annotated[
        int | Left, Header(ge=0, le=_MAX_SEQ, description="Go on behind this event; browsers send it by themselves.")
    ] = None,
    after: Annotated[
        int | Left,
        Query(ge=0, le=_MAX_SEQ, description="The same for those who cannot set a header; 0: all."),
    ] = None,
) -> StreamingResponse:
    """Server-Sent Events. The daemon keeps a bounded number of past events; who has missed more, or reads too slowly,
    gets an event `dropped` that says so, and should ask for the lists again."""
    if streams.full:
        raise ApiProblem(TOO_MANY_STREAMS, "too many streams of events are open", hint="close one, or try again later")
    events = facade.events(after if last_event_id is None else last_event_id)
    return StreamingResponse(
        streams.stream(events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


@router.get("/past", summary="List events that are kept")
@needs(Scope.READ)
async def list_events(facade: FacadeDep, query: Annotated[EventQuery, Query()]) -> EventPage:
    """What happened, newest first, as far as the daemon's ring of 8,192 events goes back."""
    found = facade.past_events(
        before=query.before,
        limit=query.limit,
        sa=query.sa,
        connection=query.connection,
        kinds=frozenset(query.kind.split(",")) if query.kind else frozenset(),
    )
    return EventPage.model_validate(found)
