"""The JSON Schema: committed as it is made, true to the loader, and with the defaults as a file would say them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mobike.config.describe import TABLES, page
from mobike.config.models import SECTIONS, ConnectionTable, PoolTable
from mobike.config.schema import reachable, schema
from mobike.facade.keys import KEYS, REQUIRED

DOCS = Path(__file__).parents[2] / "docs"
MADE: dict[str, Any] = schema()
VALID = jsonschema_rs.validator_for(MADE)


def test_the_committed_schema_is_the_one_that_the_models_make() -> None:
    committed = (DOCS / "mobike.schema.json").read_text()
    assert json.loads(committed) == MADE, "run: mobike config schema > docs/mobike.schema.json"


@pytest.mark.parametrize("file", [DOCS / "mobike.example.toml", *DOCS.glob("examples/*/*.mobike.toml")], ids=str)
def test_every_example_of_the_docs_is_valid_by_it(file: Path) -> None:
    assert [str(error) for error in VALID.iter_errors(tomllib.loads(file.read_text()))] == []


@pytest.mark.parametrize(
    "text",
    [
        "[deamon]",
        "[daemon]\nshards = 99",
        '[daemon]\nshards = "2"',
        '[connections.office]\nrole = "initiator"',
        '[connections."our office"]\nrole = "initiator"\nremote_id = "*"',
        '[connections.office]\nrole = "both"\nremote_id = "*"',
        '[connections.office]\nrole = "initiator"\nremote_id = "*"\nliveness = 30',
        '[connections.office]\nrole = "initiator"\nremote_id = "*"\nliveness = "30sec"',
        '[connections.office]\nrole = "initiator"\nremote_id = "*"\nesp_lifetime_bytes = "1 GB"',
        '[connections.office]\nrole = "initiator"\nremote_id = "*"\non_up = "/bin/true"',
        "[links]\nmanual = [1]",
    ],
)
def test_what_the_loader_refuses_by_its_form_is_refused_by_it(text: str) -> None:
    assert not VALID.is_valid(tomllib.loads(text))


def test_every_key_says_what_it_means_and_the_api_says_the_same() -> None:
    for model, table in TABLES.items():
        assert set(KEYS[table]) == set(model.model_fields), table
    assert set(KEYS) == set(TABLES.values())
    assert set(TABLES) == reachable([*SECTIONS.values(), ConnectionTable, PoolTable])
    for name, table in MADE["$defs"].items():
        for key, said in table["properties"].items():
            assert said["description"].endswith("."), f"{name}.{key}"
    assert {*REQUIRED["connections.NAME"]} == {*MADE["$defs"]["ConnectionTable"]["required"]}
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]
    body = paths["/api/v1/connections/{name}"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert {key: said["description"] for key, said in body["properties"].items()} == KEYS["connections.NAME"]


def test_the_committed_page_of_keys_is_the_one_that_is_made() -> None:
    assert (DOCS / "keys.md").read_text().splitlines() == [*page()], "run: mobike config keys > docs/keys.md"


def test_short_forms_are_valid_too() -> None:
    assert VALID.is_valid(tomllib.loads('[links]\nmanual = ["127.0.1.1", { ip = "127.0.2.1" }]'))


def test_defaults_are_said_as_in_a_file() -> None:
    tables = MADE["$defs"]
    assert tables["ConnectionTable"]["properties"]["liveness"]["default"] == "30s"
    assert tables["ApiTable"]["properties"]["tcp"]["default"] == "127.0.0.1:8650"
    assert tables["ConnectionTable"]["properties"]["esp_lifetime_bytes"]["default"] == "0"
    for name, table in tables.items():
        for key, said in table["properties"].items():
            if "default" in said:
                valid = jsonschema_rs.validator_for({**said, "$defs": tables})
                assert valid.is_valid(said["default"]), (name, key)
