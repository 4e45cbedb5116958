"""What is sent and received, with its members described by the docstrings below them.

Pydantic's own `use_attribute_docstrings` reads the source of each class when it is made, so at each start of a daemon;
here that waits until somebody asks for the document.
"""

import ast
import inspect
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue


class Described(BaseModel):
    """A model whose JSON schema has them."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's
        schema = handler(core_schema)
        members = handler.resolve_ref_schema(schema).get("properties", {})
        for kind in reversed(cls.__mro__):
            if issubclass(kind, Described) and kind is not Described:
                for name, text in _below_members(kind).items():
                    if name in members:
                        members[name]["description"] = text
        return schema


def _below_members(kind: type) -> dict[str, str]:
    """By member of this class itself, the docstring below it."""
    (made,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(made, ast.ClassDef)  # noqa: S101 - it is ours
    found = {}
    for member, below in pairwise(made.body):
        match member, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
            case _:
                pass
    return found
