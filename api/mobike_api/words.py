"""What is wrong with a request, in words of ours, and what to do about it: the API's document knows all names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

Json: TypeAlias = Mapping[str, Any]

_SAID: Final = {
    "missing": "is missing",
    "int_parsing": "is no whole number",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "float_type": "is no number",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "string_type": "is no text",
    "dict_type": "is no object",
    "model_type": "is no object",
    "model_attributes_type": "is no object",
    "list_type": "is no list",
    "tuple_type": "is no list",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
    "string_too_short": "has less than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    "too_short": "has less than {min_length} members",
    "too_long": "has more than {max_length} members",
    "literal_error": "is none of {expected}",
    "enum": "is none of {expected}",
    "string_pattern_mismatch": "is not of the form {pattern}",
    "extra_forbidden": "is unknown",
}
"""By the kinds of pydantic; others say what their own sentence says."""
_JSON: Final = "send a JSON object, with Content-Type: application/json"
_NOT_LEFT_OUT: Final = "none_required"
_NAMES: Final = re.compile(r"\(\?:([a-z_|]+)\)")


def sifted(errors: Sequence[Json]) -> list[Json]:
    """Without those that only say that something could have been left out."""
    said = [each for each in errors if each["type"] != _NOT_LEFT_OUT]
    return said or list(errors)


def said(error: Json) -> str:
    """What is wrong, behind the name of the place. What was sent is not repeated: it may be a secret."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch" and (unknown := _unknown_names(error)):
        return f"{', '.join(unknown)}: unknown"
    if context.get("min_length") == 1:
        return "is empty"
    if kind not in _SAID:
        return str(error["msg"]).removeprefix("Value error, ")
    return _SAID[kind].format_map(context)


def hint(error: Json, operation: Json, document: Json) -> str | None:
    """What to do about it, where more is known than what is wrong."""
    where, *rest = error["loc"]
    match error["type"]:
        case "extra_forbidden":
            known = [*_members(operation, document, rest[:-1])] if where == "body" else [*_parameters(operation)]
            return _nearest(str(rest[-1]), known)
        case "literal_error" | "enum" if isinstance(error["input"], str):
            known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            near = get_close_matches(error["input"], known, 1)
            return f"did you mean {near[0]}?" if near else None
        case "string_pattern_mismatch" if unknown := _unknown_names(error):
            return _nearest(unknown[0], _names(error))
        case "missing" | "model_attributes_type" | "model_type" | "dict_type" if not rest and where == "body":
            return _JSON
        case _:
            return None


def _nearest(name: str, known: Sequence[str]) -> str | None:
    near = get_close_matches(name, known, 1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(known)}" if known else "leave it out: nothing is known here"


# --- parts of rows ---


def _names(error: Json) -> list[str]:
    """Those of which a list of names may be made (`schemas.fields_pattern`)."""
    found = _NAMES.search(error["ctx"]["pattern"])
    return found[1].split("|") if found and "," in error["ctx"]["pattern"] else []


def _unknown_names(error: Json) -> list[str]:
    known = _names(error)
    return [each for each in str(error["input"]).split(",") if each not in known][:5] if known else []


# --- the document ---


def _parameters(operation: Json) -> Iterator[str]:
    yield from (each["name"] for each in operation.get("parameters", ()) if each["in"] == "query")


def _members(operation: Json, document: Json, within: Sequence[object]) -> Iterator[str]:
    """Of the object at this place of a body."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schemas = [content["schema"]]
        for part in within:
            schemas = [inner for schema in schemas for inner in _inner(_resolved(schema, document), part, document)]
        for schema in schemas:
            for each in _resolved(schema, document):
                yield from each.get("properties", {})
        return


def _resolved(schema: Json, document: Json) -> list[Json]:
    """Without references and alternatives."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _resolved(document["components"]["schemas"][name], document)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _resolved(one, document)]
    return [schema]


def _inner(schemas: Sequence[Json], part: object, document: Json) -> Iterator[Json]:
    for schema in schemas:
        if isinstance(part, int) and "items" in schema:
            yield from _resolved(schema["items"], document)
        elif part in schema.get("properties", {}):
            yield from _resolved(schema["properties"][part], document)
        else:
            others = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
            yield from (each for other in others if isinstance(other, Mapping) for each in _resolved(other, document))
