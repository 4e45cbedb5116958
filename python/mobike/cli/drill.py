"""`mobike drill`: move a share of the IKE SAs, watch that it goes well, say how long it took, and let them go back.

A batch a second: ordered, waited for, judged. When the guard is broken nothing more is moved, and all go back.
"""

import math
import random
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Final, TypeAlias

import typer

from mobike.cli.api import Api, Json, Target
from mobike.cli.completion import complete_connection, complete_local
from mobike.cli.failure import ExitCode, Failure, Missing
from mobike.cli.plain import plain
from mobike.cli.status import detail

Where: TypeAlias = tuple[str | None, str | None]
"""Our address and the peer's; None: whichever policy takes."""

POINTS: Final = (50, 90, 99)
_LOOK_S: Final = 0.1
_SOME: Final = 100
"""Of one operation: so many failures are told one by one."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold; if not, the drill ends."""

    failed: float
    """At most this share, from 0 to 1."""
    p99_ms: float

    def broken_by(self, score: "Score") -> str | None:
        """Why, or None. One that fails is allowed where there were few: a share is of many."""
        tried = len(score.took_ms) + len(score.failures)
        allowed = max(1, math.floor(self.failed * tried)) if self.failed else 0
        if len(score.failures) > allowed:
            return f"{len(score.failures)} of {tried} did not move, where {self.failed:.1%} may fail"
        slow = percentile(score.took_ms, 99)
        if slow is not None and slow > self.p99_ms:
            return f"99 of 100 took up to {slow:.0f} ms, where {self.p99_ms:.0f} ms are allowed"
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """How they are moved."""

    to: Where
    per_second: int
    guard: Guard


@dataclass
class Score:
    """What came of it so far."""

    took_ms: list[float] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def percentile(values: Sequence[float], point: int) -> float | None:
    """The value that so many of a hundred do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(point / 100 * len(ranked)) - 1)] if ranked else None


def chosen(ids: Sequence[str], share: float, chance: random.Random) -> list[str]:
    """So many of them, at random, and at least one."""
    count = min(len(ids), max(1, round(share * len(ids)))) if ids else 0
    return chance.sample(list(ids), count)


def next_best(sa: Json) -> Where | None:
    """The pair that an IKE SA would fall back to; None if it has no other."""
    others = (pair for pair in sa["pairs"] if pair["usable"] and not pair["current"])
    best = min(others, key=lambda pair: pair["rank"], default=None)
    return None if best is None else (best["local"], best["remote"])


def read_share(text: str) -> float:
    """`5%` or `0.05`, as a share from 0 to 1."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise Failure(f"{text!r} is no share", code=ExitCode.USAGE, hint="like 5% or 0.05")
    return value


def drill(  # noqa: PLR0917 - options of a command line have names
    context: typer.Context,
    share: Annotated[str, typer.Option(help="Of the IKE SAs that we began.")] = "1%",
    per_second: Annotated[int, typer.Option("--per-second", min=1, max=1000, help="So many are moved.")] = 20,
    connection: Annotated[
        str | None, typer.Option("--connection", "-C", help="Of this one only.", autocompletion=complete_connection)
    ] = None,
    local: Annotated[
        str | None,
        typer.Option(
            metavar="IP",
            help="To this address of ours; else each to its next best pair.",
            autocompletion=complete_local,
        ),
    ] = None,
    remote: Annotated[str | None, typer.Option(metavar="IP", help="To this address of the peer.")] = None,
    most_failed: Annotated[str, typer.Option("--most-failed", help="The guard: so many may fail.")] = "1%",
    slowest_ms: Annotated[
        float, typer.Option("--slowest-ms", min=0, help="The guard: 99 of 100 must not take longer.")
    ] = 1000,
    stay: Annotated[bool, typer.Option("--stay", help="Leave them there: they are pinned to it.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="The same ones are chosen again.")] = None,
) -> None:
    """Move a share of the IKE SAs at a pace, within a guard; say how long the moves took; let policy take them back.

    Ends with 0 when the guard held, and with 1 when it did not. Ctrl-C ends the drill, and lets them go back.
    """
    guard = Guard(read_share(most_failed), slowest_ms)
    wanted = read_share(share)
    with Api(context.ensure_object(Target)) as api:
        ids = _candidates(api, connection)
        picked = chosen(ids, wanted, random.Random(seed))  # noqa: S311 - a sample, no secret
        if not picked:
            whose = "" if connection is None else f" of {connection}"
            raise Failure(f"no IKE SA{whose} can be moved", hint="only those that we began, with MOBIKE, can be")
        score = Score()
        why: str | None = None
        try:
            why = _run(api, picked, Plan((local, remote), per_second, guard), score)
        finally:
            back = 0 if stay else _bring_back(api, score.moved)
        lines = report(len(ids), picked, score, back=None if stay else back)
    print("\n".join(map(plain, lines)))
    if why is not None:
        raise Failure(f"the guard ended the drill: {why}")
    print(f"The guard held: at most {guard.failed:.1%} failed, and 99 of 100 took at most {guard.p99_ms:.0f} ms.")


def report(known: int, picked: Sequence[str], score: Score, *, back: int | None) -> Iterator[str]:
    """What came of it, in lines."""
    yield f"drill    {len(picked):,} of {known:,} IKE SA{'' if known == 1 else 's'}"
    yield f"moved    {len(score.moved):,}"
    if score.failures:
        yield f"failed   {len(score.failures):,}"
        yield from (f"         {sa}: {why}" for sa, why in islice(score.failures, 10))
    if score.took_ms:
        points = "  ".join(f"p{point} {percentile(score.took_ms, point):.1f}" for point in POINTS)
        yield f"took     {points}  max {max(score.took_ms):.1f} ms"
    if back is not None:
        yield f"back     {back:,}: policy chooses for them again"


def _candidates(api: Api, connection: str | None) -> list[str]:
    query: dict[str, str | int] = {"role": "initiator", "state": "established", "fields": "id,mobike"}
    if connection is not None:
        query["connection"] = connection
    return [row["id"] for row in api.lines("ike-sas", query) if row["mobike"]]


def _run(api: Api, picked: Sequence[str], plan: Plan, score: Score) -> str | None:
    """Why the guard ended it; None: it held."""
    from mobike.cli.bar import bar  # noqa: PLC0415 - what few commands need would hold up all of them

    with bar() as shown:
        task = shown.add_task("drill", total=len(picked))
        for batch in _batches(picked, plan.per_second):
            begun = time.monotonic()
            _move(api, batch, plan.to, score)
            shown.advance(task, len(batch))
            why = plan.guard.broken_by(score)
            if why is not None:
                return why
            if len(score.moved) + len(score.failures) < len(picked):
                time.sleep(max(0.0, 1.0 - (time.monotonic() - begun)))
    return None


def _move(api: Api, batch: Sequence[str], to: Where, score: Score) -> None:
    places: defaultdict[Where, list[str]] = defaultdict(list)
    for sa in batch:
        if to != (None, None):
            places[to].append(sa)
            continue
        try:
            where = next_best(detail(api, sa))
        except Missing:
            score.failures.append((sa, "it ended before it was moved"))
            continue
        if where is None:
            score.failures.append((sa, "it has no other pair that can be used"))
        else:
            places[where].append(sa)
    orders = ((where, ids) for where, all_of_them in places.items() for ids in _batches(all_of_them, _SOME))
    for (local, remote), ids in orders:
        halves = {"local": local, "remote": remote}
        order = {"order": "move", "select": {"ids": ids}, "per_second": 1000}
        told = _to_end(api, order | {half: ip for half, ip in halves.items() if ip is not None})
        failed = {each["target"]: each["why"] for each in told["failures"]}
        score.failures += failed.items()
        for sa in ids:
            if sa not in failed:
                _note(api, sa, score)


def _note(api: Api, sa: str, score: Score) -> None:
    try:
        last = detail(api, sa)["last_move"]
    except Missing:
        score.failures.append((sa, "it ended after it was moved"))
        return
    score.moved.append(sa)
    if last is not None and last["duration_ms"] is not None:
        score.took_ms.append(last["duration_ms"])


def _bring_back(api: Api, moved: Sequence[str]) -> int:
    """How many policy has again."""
    back = 0
    for batch in _batches(moved, _SOME):
        back += _to_end(api, {"order": "unpin", "select": {"ids": list(batch)}, "per_second": 1000})["done"]
    if back < len(moved):
        print(f"mobike: {len(moved) - back:,} are still pinned", file=sys.stderr)
    return back


def _to_end(api: Api, order: Json) -> Json:
    told = api.post("operations", order, headers={"Idempotency-Key": secrets.token_hex(16)})
    while told["phase"] == "running":
        time.sleep(_LOOK_S)
        told = api.get(f"operations/{told['id']}")
    return told


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
