"""What routes ask for: the facade, and parameters with their limits."""

from typing import Annotated

from fastapi import Depends, Path, Request

from mobike.facade import Facade
from mobike.facade.books import Books
from mobike_api.metrics import Metrics
from mobike_api.operations import Operations
from mobike_api.problems import INVALID, ApiProblem, FieldError
from mobike_api.sse import Streams


# `async`, since FastAPI runs anything else in a thread of its own.
async def _facade(request: Request) -> Facade:
    facade: Facade = request.app.state.facade
    return facade


async def _books(request: Request) -> Books:
    books: Books = request.app.state.books
    return books


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _operations(request: Request) -> Operations:
    operations: Operations = request.app.state.operations
    return operations


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


async def each_once(request: Request) -> None:
    """A parameter that is given twice may mean either; nobody guesses."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            said = "is given more than once; give it once"
            raise ApiProblem(INVALID, f"{name}: {said}", errors=[FieldError(detail=said, parameter=name)])
        seen.add(name)


BooksDep = Annotated[Books, Depends(_books)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
OperationsDep = Annotated[Operations, Depends(_operations)]
FacadeDep = Annotated[Facade, Depends(_facade)]
StreamsDep = Annotated[Streams, Depends(_streams)]
SaPath = Annotated[
    str, Path(alias="id", description="The id of an IKE SA.", pattern=r"^[0-9A-Za-z._:-]{1,64}$", examples=["1a"])
]
ChildPath = Annotated[
    str, Path(alias="child", description="The id of a Child SA.", pattern=r"^[0-9A-Za-z._:-]{1,64}$", examples=["1a"])
]
NamePath = Annotated[
    str,
    Path(description="The name of a connection.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", examples=["office"]),
]
