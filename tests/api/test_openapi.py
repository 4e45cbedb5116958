"""The API against its own description: schemathesis tries what the OpenAPI document allows, and what it does not.

What is tried of an operation is made up when it is its turn, and by that process alone which tries it: it takes
longer than to ask.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection

from mobike.facade import Facade
from mobike_api import create_app
from mobike_api.document import document
from mobike_api.limits import Limiter, Rate
from tests.api.books import some_books
from tests.api.cases import sent_once
from tests.api.house import a_house
from tests.gateway.office import Office

COMMITTED = Path(__file__).parents[2] / "docs/openapi.json"
MANY = Rate(1e6, 10**9)
TOKEN = "correct-horse-battery-staple-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
LIBRARYS = re.compile(r"Input should|String should|Extra inputs|Field required|Value error|unable to parse")


# Streams do not end; tests/api/test_server.py follows them.
OPERATIONS = [
    (method, path)
    for path, methods in json.loads(COMMITTED.read_text())["paths"].items()
    for method in methods
    if path != "/api/v1/events"
]
"""All of them: a test below holds the committed document against the code."""


def described(facade: Facade) -> BaseSchema:
    app = create_app(facade, some_books(), token=TOKEN, calls=Limiter(MANY), failures=Limiter(MANY))
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=AUTHORIZED)


@pytest.fixture(scope="module")
def house() -> BaseSchema:
    return described(a_house())


@pytest.fixture(scope="module")
def office() -> BaseSchema:
    return described(Office().desk)


asked = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
each_operation = pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=map(" ".join, OPERATIONS))


def tried(schema: BaseSchema, method: str, path: str, holds: Callable[[schemathesis.Case[Any]], None]) -> None:
    """All that `schema.parametrize()` would make up for this operation, when it is collected."""
    one = schema.include(method=method.upper(), path=path)
    (found,) = get_all_tests(schema=one, test_func=holds, settings=asked, given_kwargs=None)
    assert isinstance(found, Ok)
    _, test = found.ok()
    test()


@each_operation
def test_every_operation_keeps_to_its_description(house: BaseSchema, method: str, path: str) -> None:
    def holds(case: schemathesis.Case[Any]) -> None:
        sent_once(case)
        answer = case.call_and_validate(headers=AUTHORIZED)
        if answer.status_code >= 400:
            assert not LIBRARYS.search(answer.text), "what is wrong is said in our words"

    tried(house, method, path, holds)


@each_operation
def test_the_real_desk_keeps_to_the_description(office: BaseSchema, method: str, path: str) -> None:
    def holds(case: schemathesis.Case[Any]) -> None:
        parameters = case.path_parameters or {}
        known = {"id": f"{1:016x}"} if "/ike-sas/" in case.path else {"name": "office"}
        for parameter, ours in known.items():
            # Chance finds no name of ours; every second call is about something that is there.
            if parameter in parameters and len(str(parameters[parameter])) % 2 == 0:
                parameters[parameter] = ours
        sent_once(case)
        # What was wrong with the names has been mended here, so that it may be taken.
        case.call_and_validate(headers=AUTHORIZED, excluded_checks=[negative_data_rejection])

    tried(office, method, path, holds)


def test_the_committed_document_is_what_the_code_says() -> None:
    assert COMMITTED.read_text() == document(), "the API has changed: `make openapi`, read the difference, commit it"


@pytest.mark.parametrize("name", ["Problem", "IkeSa", "IkeSaDetail", "MoveOrder"])
def test_every_schema_forbids_what_it_does_not_know(house: BaseSchema, name: str) -> None:
    components = house.raw_schema["components"]["schemas"]
    assert components[name]["additionalProperties"] is False
