"""The API against its own description: schemathesis tries what the OpenAPI document allows, and what it does not."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from mobike_api import create_app
from tests.api.house import a_house

TOKEN = "correct-horse-battery-staple-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}

schema = schemathesis.openapi.from_asgi(
    "/api/v1/openapi.json", create_app(a_house(), token=TOKEN), headers=AUTHORIZED
).exclude(path="/api/v1/events")  # does not end; tests/api/test_server.py follows it


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_its_description(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers=AUTHORIZED)


@pytest.mark.parametrize("name", ["Problem", "IkeSa", "IkeSaDetail", "Event", "MoveOrder"])
def test_every_schema_forbids_what_it_does_not_know(name: str) -> None:
    components = schema.raw_schema["components"]["schemas"]
    if name == "Event":
        assert name not in components or components[name]["additionalProperties"] is False
    else:
        assert components[name]["additionalProperties"] is False
