"""Pydantic's errors in the words of people who write TOML. What they wrote is never repeated: it may be a secret."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mobike.config.locate import Key
from mobike.config.models import SECTIONS, ConnectionTable, Table
from mobike.config.problems import nearest, unknown_key
from mobike.config.tables import model_in

_QUOTED: Final = re.compile(r"'([^']*)'")

_WORDS: Final = {
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": 'must be a list: ["...", "..."]',
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have {max_length} characters or less",
    "too_short": "must not be empty",
    "too_long": "must have {max_length} entries or less",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "bytes_type": "must be a string",
    "string_unicode": "must be text",
    "string_pattern_mismatch": "must match {pattern}",
    "value_error": "{error}",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of a table: the key within it, and what is wrong."""

    key: Key
    message: str


def complaints(error: ValidationError, model: type[Table]) -> Iterator[Complaint]:
    """Every error of a table."""
    for details in error.errors(include_url=False):
        key = tuple(details["loc"])
        yield Complaint(key, _message(details, key, model))


def _message(details: ErrorDetails, key: Key, model: type[Table]) -> str:
    if details["type"] == "extra_forbidden":
        name = str(key[-1])
        return unknown_key(name, _fields_at(model, key[:-1]), _tables_with(name))
    words = _WORDS.get(details["type"])
    if words is None:
        return details["msg"]
    return words.format(**details.get("ctx", {})) + (_meant(details) if details["type"] == "literal_error" else "")


def _meant(details: ErrorDetails) -> str:
    """The word that is nearest to what was written, of those that are valid."""
    written = details["input"]
    return (
        nearest(written, _QUOTED.findall(str(details.get("ctx", {})["expected"]))) if isinstance(written, str) else ""
    )


def _fields_at(model: type[BaseModel], key: Key) -> set[str]:
    """The keys that the table at `key` may have."""
    for part in key:
        if isinstance(part, str):
            model = model_in(model.model_fields[part].annotation) or model
    return set(model.model_fields)


def _tables_with(name: str) -> set[str]:
    tables: dict[str, type[Table]] = {**SECTIONS, "connections.NAME": ConnectionTable}
    return {table for table, model in tables.items() if name in model.model_fields}
