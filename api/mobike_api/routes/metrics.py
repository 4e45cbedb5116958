"""Numbers for Prometheus, where it looks for them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Response

from mobike.facade.books import Scope
from mobike_api.deps import MetricsDep, each_once
from mobike_api.scopes import needs, permitted

router = APIRouter(tags=["Daemon"], dependencies=[Depends(permitted), Depends(each_once)])

_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The text of Prometheus, or OpenMetrics where `Accept` asks for it.",
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            "application/openmetrics-text": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/metrics", summary="Show numbers for Prometheus", response_class=Response, responses=_TEXT)
@needs(Scope.METRICS)
async def show_metrics(metrics: MetricsDep, accept: Annotated[str | None, Header()] = None) -> Response:
    """By connection; docs/metrics.md says what each of them means."""
    text, kind = metrics.told(accept)
    return Response(text, media_type=kind)
