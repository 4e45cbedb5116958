"""What a daemon is told of its configuration, and what it says to that, in lines for people."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from mobike.cli.api import Api, Json
from mobike.cli.failure import ExitCode, Failure

Only: TypeAlias = Mapping[str, str]
"""Headers that say when a change counts."""


def plan(api: Api, *, keep: bool) -> Json:
    """What reading the files again would do."""
    return api.post("config/plan", {"keep": keep})


def apply(api: Api, *, keep: bool, confirm_s: int | None = None) -> Json:
    """Read the files again."""
    return api.post("config/apply", {"keep": keep, "confirm_s": confirm_s})


def rollback(api: Api, revision: int, *, keep: bool) -> Json:
    """An earlier one comes back."""
    return api.post("config/rollback", {"revision": revision, "keep": keep})


def changes(api: Api, revision: int, since: int | None) -> Json:
    """What one says otherwise than another, or than the one before it."""
    return api.get(f"config/revisions/{revision}/changes", {} if since is None else {"since": since})


def confirm(api: Api) -> str:
    """It stays."""
    return f"Revision {api.post('config/confirm')['revision']} stays."


def state(api: Api) -> Json:
    """Which one is in force."""
    return api.get("config")


def revisions(api: Api, limit: int) -> Json:
    """Newest first."""
    return api.get("config/revisions", {"limit": limit})


def show(api: Api, name: str) -> tuple[Json, str]:
    """How a connection is written, and the tag of that."""
    return api.tagged(_path(name))


def put(api: Api, name: str, table: Json, *, keep: bool, only: Only) -> Json:
    """A connection of the store, as a whole."""
    return api.put(_path(name), table, _kept(keep), headers=only)


def patch(api: Api, name: str, changes: Json, *, keep: bool, only: Only) -> Json:
    """Some keys of a connection of the store."""
    return api.patch(_path(name), changes, _kept(keep), headers=only)


def delete(api: Api, name: str, *, only: Only) -> Json:
    """It goes, with its IKE SAs."""
    return api.delete(_path(name), headers=only)


def credentials(api: Api) -> Json:
    """Those that the daemon keeps, without what they say."""
    return api.get("credentials")


def put_credential(api: Api, name: str, kind: str, content: str, *, keep: bool, only: Only) -> Json:
    """A credential of the store."""
    return api.put(_path(name, "credentials"), {"kind": kind, "content": content}, _kept(keep), headers=only)


def delete_credential(api: Api, name: str) -> Json:
    """It goes, if nobody names it."""
    return api.delete(_path(name, "credentials"))


def only_if(tag: str | None, *, new: bool) -> Only:
    """Of a change that counts only while there is what its sender has seen."""
    if new and tag is not None:
        raise Failure("--new and --if-match do not go together: what is new has no tag", code=ExitCode.USAGE)
    return {"If-None-Match": "*"} if new else {} if tag is None else {"If-Match": tag}


def merge_patch(old: Json, new: Json) -> Json:
    """What makes the one the other (RFC 7396)."""
    changes: Json = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        was = old.get(key)
        if isinstance(was, dict) and isinstance(value, dict):
            if inner := merge_patch(was, value):
                changes[key] = inner
        elif key not in old or was != value:
            changes[key] = value
    return changes


def drawn_credentials(told: Json) -> list[str]:
    """One line each, and the fingerprints below."""
    lines = []
    for each in told["items"]:
        ends = "" if each["ends"] is None else f", until {_when(each['ends'])}"
        users = ", ".join(each["used_by"]) or "nobody"
        lines.append(f"{each['name']}  {each['kind']}, since {_when(each['changed'])}{ends}, used by {users}")
        lines += [f"    {fingerprint}" for fingerprint in each["fingerprints"]]
    return lines or ["None: what connections prove themselves by is in files."]


def drawn(told: Json) -> list[str]:
    """A plan, or what was done by one."""
    return [*_lines(told)] or ["Nothing changes: what is in force says the same."]


def drawn_changes(told: Json) -> list[str]:
    """Two that are compared."""
    return [*_lines(told)] or ["They say the same."]


def drawn_state(told: Json) -> list[str]:
    """Which one, until when, and what it waits for."""
    lines = [f"revision {told['revision']}, in force since {_when(told['since'])}"]
    if told["pinned"]:
        lines.append("it is an earlier one: what the files say now is not obeyed ('mobike config plan' shows it)")
    if told["stored"]:
        lines.append(f"made over the API: {', '.join(told['stored'])}")
    if told["restart"]:
        lines += ["obeyed when the daemon starts anew", *map(_of_change, told["restart"])]
    if told["confirm_by"] is not None:
        lines.append(f"it is taken back at {_when(told['confirm_by'])} unless 'mobike config confirm' comes first")
    return lines


def drawn_revisions(told: Json) -> list[str]:
    """One line each."""
    return [
        f"{'*' if each['current'] else ' '} {each['number']:>5}  {_when(each['at'])}  {each['who']}: {each['what']}"
        for each in told["items"]
    ]


def _lines(told: Json) -> Iterator[str]:
    for each in told["credentials"]:
        yield f"{_SIGNS[each['what']]} credential {each['name']}"
    for step in told["steps"]:
        yield from _of_step(step)
    if told["rest"]:
        yield "~ the rest"
        yield from map(_of_change, told["rest"])
    if told["restart"]:
        yield "! obeyed when the daemon starts anew"
        yield from map(_of_change, told["restart"])
    yield from (f"warning: {warning}" for warning in told["warnings"])
    if told["revision"] is not None and (told["credentials"] or told["steps"] or told["rest"]):
        yield f"In force: revision {told['revision']}."
    if told["confirm_by"] is not None:
        yield f"It is taken back at {_when(told['confirm_by'])} unless 'mobike config confirm' comes first."


_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}


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


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _kept(keep: bool) -> dict[str, str]:
    return {"keep": "true" if keep else "false"}


def _path(name: str, list_: str = "connections") -> str:
    return f"{list_}/{quote(name, safe='')}"
