"""What a daemon is told of its configuration, and what it says to that, in lines for people."""

from collections.abc import Iterator
from typing import Any

from mobike.cli.api import Api, Json


def plan(api: Api, *, keep: bool) -> Json:
    """What reading the files again would do."""
    return api.post("config/plan", {"keep": keep})


def apply(api: Api, *, keep: bool) -> Json:
    """Read the files again."""
    return api.post("config/apply", {"keep": keep})


def drawn(told: Json) -> list[str]:
    """A plan, or what was done by one."""
    return [*_lines(told)] or ["Nothing changes: what is in force says the same."]


def _lines(told: Json) -> Iterator[str]:
    for step in told["steps"]:
        yield from _of_step(step)
    if told["rest"]:
        yield "~ the rest"
        yield from map(_of_change, told["rest"])
    if told["restart"]:
        yield "! obeyed when the daemon starts anew"
        yield from map(_of_change, told["restart"])
    yield from (f"warning: {warning}" for warning in told["warnings"])
    if told["revision"] is not None and (told["steps"] or told["rest"]):
        yield f"In force: revision {told['revision']}."


def _of_step(step: Json) -> Iterator[str]:
    sas = f"{step['ike_sas']} IKE SA{'' if step['ike_sas'] == 1 else 's'}"
    match step["what"]:
        case "added":
            yield f"+ {step['connection']}: new"
        case "removed":
            yield f"- {step['connection']}: gone, with {sas}"
        case _:
            yield f"~ {step['connection']} ({sas}): {step['words']}"
    yield from map(_of_change, step["changes"])


def _of_change(change: Json) -> str:
    place = "" if change["place"] is None else f" ({change['place']})"
    return f"    {change['key']}: {_value(change['old'])} -> {_value(change['new'])}{place}"


def _value(value: Any) -> str:  # noqa: ANN401 - what JSON holds
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return "none" if value is None else str(value)
