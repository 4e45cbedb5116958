"""The JSON Schema of a configuration, for editors and for those who generate one. `mobike config schema` prints it."""

from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from mobike.config.describe import about
from mobike.config.models import SECTIONS, ConnectionTable, PoolTable, Table
from mobike.config.tables import model_in

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class _Generator(GenerateJsonSchema):
    """Keys need no second name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - as pydantic has it
        return False


def schema() -> dict[str, Any]:
    """Of all files together; each file alone is valid by it too."""
    named: dict[str, type[Table]] = {"connections": ConnectionTable, "pools": PoolTable}
    models = {**SECTIONS, **named}
    refs, body = models_json_schema([(model, "validation") for model in models.values()], schema_generator=_Generator)
    tables: dict[str, Any] = body["$defs"]
    for model in reachable(models.values()):
        _finish(tables[model.__name__], model)
    # A bare address is short for a table with nothing else said.
    tables["LinksTable"]["properties"]["manual"]["items"] = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/ManualTable"}]
    }
    properties: dict[str, Any] = {}
    for name, model in models.items():
        ref = dict(refs[model, "validation"])
        properties[name] = (
            ref
            if name not in named
            else {"type": "object", "patternProperties": {_NAME: ref}, "additionalProperties": False}
        )
    return {
        "$schema": _DRAFT,
        "title": "mobike.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": dict(sorted(tables.items())),
    }


def written_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """The defaults of a table as a file would say them."""
    return model.model_construct().model_dump(mode="json")


def _finish(table: dict[str, Any], model: type[BaseModel]) -> None:
    table.pop("title", None)
    defaults = written_defaults(model)
    for name, key in table["properties"].items():
        key.pop("default", None)
        key["description"] = about(model, name)
        if name in defaults and defaults[name] is not None and not _is_table(model.model_fields[name]):
            key["default"] = defaults[name]


def _is_table(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def reachable(models: Iterable[type[BaseModel]]) -> set[type[BaseModel]]:
    """These tables and all within them."""
    found: set[type[BaseModel]] = set()
    left = [*models]
    while left:
        model = left.pop()
        found.add(model)
        inner = (model_in(field.annotation) for field in model.model_fields.values())
        left += [each for each in inner if each is not None and each not in found]
    return found
