"""Operators' authorisers at work: coroutines and plain functions, slow ones, broken ones."""

import asyncio
import threading
import time
from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, SaId
from mobike.auth.visitors import Admit, Authoriser, Inquiry, Judgement, Refuse, Ticket, Visitor
from mobike.config.settings import AuthoriserSettings
from mobike.events import Role
from mobike.gateway.porter import AT_A_TIME, Porter

ANN = Visitor("office", Role.RESPONDER, "ann@example.net", None, (), Endpoint(ip_address("192.0.2.2"), 4500))
MS = 1_000_000


class ByName:
    async def judge(self, visitor: Visitor) -> Judgement:
        await asyncio.sleep(0)
        return Admit() if visitor.peer_id.startswith("ann") else Refuse("not on the list")


class InThread:
    def __init__(self) -> None:
        self.thread = ""

    def judge(self, _: Visitor) -> Judgement:
        self.thread = threading.current_thread().name
        return Admit()


class Sleeps:
    async def judge(self, _: Visitor) -> Judgement:
        await asyncio.sleep(60)
        return Admit()


class Blocks:
    def judge(self, _: Visitor) -> Judgement:
        time.sleep(0.3)
        return Admit()


class Broken:
    async def judge(self, visitor: Visitor) -> Judgement:
        raise LookupError(visitor.peer_id)


class Truthy:
    async def judge(self, _: Visitor) -> Judgement:
        return True  # type: ignore[return-value]


async def _ask(authoriser: Authoriser, *visitors: Visitor, within: int = 5_000 * MS) -> list[Judgement]:
    heard: dict[Ticket, Judgement] = {}
    enough = asyncio.Event()

    def hear(ticket: Ticket, judgement: Judgement) -> None:
        heard[ticket] = judgement
        if len(heard) == len(visitors):
            enough.set()

    porter = Porter({"office": AuthoriserSettings(authoriser, within)}, hear)
    porter.ask(Inquiry((SaId(number), 0), visitor) for number, visitor in enumerate(visitors))
    await asyncio.wait_for(enough.wait(), 10)
    porter.close()
    return [heard[ticket] for ticket in sorted(heard)]


async def test_a_coroutine_decides() -> None:
    bob = Visitor("office", Role.RESPONDER, "bob@example.net", None, (), ANN.address)
    assert await _ask(ByName(), ANN, bob) == [Admit(), Refuse("not on the list")]


async def test_a_plain_function_runs_beside_the_loop() -> None:
    authoriser = InThread()
    assert await _ask(authoriser, ANN) == [Admit()]
    assert authoriser.thread.startswith("authorise")


@pytest.mark.parametrize("authoriser", [Sleeps(), Blocks()])
async def test_no_word_in_time_is_a_no(authoriser: Authoriser) -> None:
    assert await _ask(authoriser, ANN, within=20 * MS) == [Refuse("no word within 0.02 s")]


async def test_a_fault_is_a_no_and_so_is_an_answer_of_another_kind() -> None:
    assert await _ask(Broken(), ANN) == [Refuse("it failed (LookupError)")]
    (said,) = await _ask(Truthy(), ANN)
    assert said == Refuse("it answered bool, which is neither Admit nor Refuse")


async def test_a_crowd_waits_for_its_turn() -> None:
    at_work = most = 0

    class Counts:
        async def judge(self, _: Visitor) -> Judgement:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0.001)
            at_work -= 1
            return Admit()

    assert await _ask(Counts(), *[ANN] * (AT_A_TIME + 50)) == [Admit()] * (AT_A_TIME + 50)
    assert most == AT_A_TIME


async def test_at_the_end_nobody_waits() -> None:
    heard: list[Judgement] = []
    porter = Porter({"office": AuthoriserSettings(Sleeps(), 5_000 * MS)}, lambda _, judgement: heard.append(judgement))
    porter.ask([Inquiry((SaId(1), 0), ANN)])
    await asyncio.sleep(0)
    porter.close()
    await asyncio.sleep(0)
    assert heard == []
