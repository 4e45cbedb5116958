"""Values as TOML writes them."""

import json
from collections.abc import Mapping, Sequence

from mobike.config.problems import dotted


def write_value(value: object) -> str:
    """One value, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            # What JSON escapes, TOML escapes alike; DEL alone is a matter of TOML.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inside = ", ".join(f"{write_key(str(key))} = {write_value(each)}" for key, each in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case Sequence():
            return f"[{', '.join(map(write_value, value))}]"
        case _:
            raise TypeError(f"TOML has no {type(value).__name__}")


def write_key(*names: str) -> str:
    """A key of one or more names."""
    return dotted(names)
