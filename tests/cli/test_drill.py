"""`mobike drill`: a share moves within a guard, and goes back."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from mobike.cli.drill import Guard, Score, chosen, next_best, percentile, read_share
from mobike.cli.failure import Failure
from mobike.facade import MoveView, Refused
from tests.api.house import BORN, a_sa
from tests.cli.conftest import Run, Running

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_a_share_moves_to_its_next_best_pair_and_goes_back(mobike: Run, many: Running) -> None:
    told = mobike("--socket", many.socket, "drill", "--share", "50%", "--seed", "1")
    assert (told.code, told.err) == (0, "")
    moves = [order for order in many.house.orders if order.startswith("move ")]
    backs = [order for order in many.house.orders if order.startswith("unpin ")]
    assert (len(moves), len(backs)) == (6, 6)
    assert {order.split()[2:] == ["198.51.100.20", "203.0.113.1"] for order in moves} == {True}
    assert told.out == PAGE.read_text().split("$ mobike drill --share 50% --seed 1\n")[1].split("```")[0]


def test_the_guard_ends_it_before_the_rest_is_moved(
    mobike: Run, many: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = many.house.move

    def stubborn(sa: str, *, local: str | None, remote: str | None) -> None:
        if sa in {"1", "2", "3", "4", "5", "6"}:
            raise Refused("the peer is silent")
        move(sa, local=local, remote=remote)

    monkeypatch.setattr(many.house, "move", stubborn)
    told = mobike("--socket", many.socket, "drill", "--share", "100%", "--per-second", "6", "--seed", "3")
    assert told.code == 1
    assert "the guard ended the drill: " in told.err
    assert "the peer is silent" in told.out
    moved = [order.split()[1] for order in many.house.orders if order.startswith("move ")]
    back = [order.split()[1] for order in many.house.orders if order.startswith("unpin ")]
    assert len(moved) < 6
    assert moved == back, "who was moved goes back"


def test_slow_moves_break_the_guard(mobike: Run, many: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    move = many.house.move

    def slow(sa: str, *, local: str | None, remote: str | None) -> None:
        move(sa, local=local, remote=remote)
        many.house.last_moves[sa] = MoveView(BORN, "a", "b", "ordered", 2500.0)

    monkeypatch.setattr(many.house, "move", slow)
    told = mobike("--socket", many.socket, "drill", "--share", "100%")
    assert told.code == 1
    assert "99 of 100 took up to 2500 ms, where 1000 ms are allowed" in told.err


def test_they_stay_where_that_is_wanted(mobike: Run, many: Running) -> None:
    told = mobike("--socket", many.socket, "drill", "--local", "198.51.100.20", "--stay", "-C", "office")
    assert told.code == 0
    assert many.house.orders == [order for order in many.house.orders if order.startswith("move ")]


def test_what_others_began_is_not_moved(mobike: Run, many: Running) -> None:
    many.house.sas = {"1": replace(a_sa(1), role="responder"), "2": replace(a_sa(2), mobike=False)}
    told = mobike("--socket", many.socket, "drill", "--share", "100%")
    assert (told.code, told.err.splitlines()[0]) == (1, "mobike: no IKE SA can be moved")


def test_those_chosen_are_a_share_at_random_and_the_same_for_a_seed() -> None:
    ids = [str(number) for number in range(1000)]
    assert len(chosen(ids, 0.05, random.Random(1))) == 50
    assert chosen(ids, 0.05, random.Random(1)) == chosen(ids, 0.05, random.Random(1))
    assert chosen(ids, 0.05, random.Random(1)) != chosen(ids, 0.05, random.Random(2))
    assert len(chosen(ids, 0.0, random.Random(1))) == 1
    assert chosen([], 1.0, random.Random(1)) == []


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, point) for point in (50, 90, 99, 100)] == [50.0, 90.0, 99.0, 100.0]
    assert percentile([7.0], 99) == 7.0
    assert percentile([], 50) is None


def test_a_guard_forgives_one_of_few_and_a_share_of_many() -> None:
    guard = Guard(0.01, 1000)

    def of(moved: int, failed: int) -> str | None:
        return guard.broken_by(Score([1.0] * moved, [], [("x", "y")] * failed))

    assert of(9, 1) is None
    assert of(8, 2) is not None
    assert of(990, 10) is None
    assert of(989, 11) is not None
    assert Guard(0.0, 1000).broken_by(Score([], [], [("x", "y")])) is not None


def test_the_next_best_pair_is_usable_and_not_the_current_one() -> None:
    def pair(rank: int, *, usable: bool = True, current: bool = False) -> dict[str, object]:
        return {"rank": rank, "usable": usable, "current": current, "local": f"l{rank}", "remote": f"r{rank}"}

    assert next_best({"pairs": [pair(3), pair(1, current=True), pair(2, usable=False), pair(4)]}) == ("l3", "r3")
    assert next_best({"pairs": [pair(1, current=True), pair(2, usable=False)]}) is None


@pytest.mark.parametrize("wrong", ["", "x", "101%", "-1%", "2", "nan"])
def test_a_share_is_of_one(wrong: str) -> None:
    assert (read_share("5%"), read_share("0.05"), read_share("100%")) == (0.05, 0.05, 1.0)
    with pytest.raises(Failure, match="is no share"):
        read_share(wrong)
