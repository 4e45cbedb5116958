"""What the parts of a connection share: what they need from the rest of the file, and how they read values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mobike.config.checks import Checks
from mobike.swanctl.files import Folder
from mobike.swanctl.findings import Taker
from mobike.swanctl.pools import Pools
from mobike.swanctl.proposals import expand
from mobike.swanctl.secrets import Secrets
from mobike.swanctl.words import seconds, truth, words

Table: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Context:
    """What a connection needs from the rest of the file, and what it leaves behind."""

    folder: Folder
    checks: Checks
    secrets: Secrets
    pools: Pools
    authorities: list[str]
    files: dict[str, str] = field(default_factory=dict, repr=False)

    def forget(self, name: str) -> None:
        """A connection that is not imported after all uses no secrets."""
        for file in (f"{name}.psk", f"{name}.password", f"{name}.ppk"):
            self.files.pop(file, None)
        for secret in (*self.secrets.ike, *self.secrets.eap, *self.secrets.ppk):
            secret.used = [to for to in secret.used if not to.startswith(f"connections.{name}.")]


def proposals(taker: Taker, key: str, table: Table, ours: str, check: Callable[[str], object], *, ike: bool) -> None:
    """A list of proposals. Those that are not known here are left out, as long as one stays."""
    said = words(taker.peek(key))
    found: list[str] = []
    wrong: list[str] = []
    for word in said:
        if word == "default":
            continue
        try:
            for each in expand(word, ike=ike):
                check(each)
                found.append(each)
        except ValueError as problem:
            wrong.append(str(problem))
    if wrong and not found and "default" not in said:
        raise taker.refuse(key, f"no proposal is known here: {'; '.join(wrong)}")
    if found:
        table[ours] = list(dict.fromkeys(found))
    if "default" in said or not said:
        taker.changed(key, ours if found else "", "the defaults of mobike are others: see docs/algorithms.md")
    elif wrong:
        taker.changed(key, ours, f"left out: {'; '.join(wrong)}")
    elif found != said:
        taker.mapped(key, ours, "one proposal for each combination")
    else:
        taker.mapped(key, ours)


def span(taker: Taker, key: str) -> int | None:
    """A time in seconds, if it is said."""
    text = taker.peek(key)
    if not text:
        return None
    try:
        return seconds(text)
    except ValueError as problem:
        raise taker.refuse(key, str(problem)) from None


def switch(taker: Taker, key: str) -> bool | None:
    """yes or no, if it is said."""
    text = taker.peek(key)
    if not text:
        return None
    try:
        return truth(text)
    except ValueError as problem:
        raise taker.refuse(key, str(problem)) from None
