"""The journal: everyone reads at their own pace, and who falls behind is told how much is gone."""

import asyncio

from mobike.address import SaId
from mobike.facade import EventView
from mobike.fleet import Note
from mobike.gateway.journal import Journal


async def read(journal: Journal, after: int | None, count: int) -> list[EventView]:
    events: list[EventView] = []
    async with asyncio.timeout(5):
        async for event in journal.follow(after):
            events.append(event)
            if len(events) == count:
                break
    return events


async def test_a_watcher_sees_what_comes_after_it_began() -> None:
    journal = Journal()
    journal.append(1.0, Note("old", "before"))
    watching = asyncio.create_task(read(journal, None, 2))
    await asyncio.sleep(0)
    journal.append(2.0, Note("new", "first", sa=SaId(7), connection="office", data={"n": 1}))
    await asyncio.sleep(0)
    journal.append(3.0, Note("new", "second"))
    first, second = await watching
    assert (first.text, first.sa, first.connection, first.data) == ("first", "0000000000000007", "office", {"n": 1})
    assert second.text == "second"


async def test_a_watcher_that_comes_back_misses_nothing() -> None:
    journal = Journal()
    for number in range(5):
        journal.append(float(number), Note("n", str(number)))
    assert [event.seq for event in await read(journal, 2, 3)] == [3, 4, 5]


async def test_two_watchers_do_not_steal_from_each_other() -> None:
    journal = Journal()
    watchers = [asyncio.create_task(read(journal, 0, 3)) for _ in range(2)]
    for number in range(3):
        await asyncio.sleep(0)
        journal.append(0.0, Note("n", str(number)))
    assert [[event.seq for event in await watcher] for watcher in watchers] == [[1, 2, 3]] * 2


async def test_who_falls_behind_is_told_how_many_are_gone() -> None:
    journal = Journal(capacity=3)
    for number in range(10):
        journal.append(0.0, Note("n", str(number)))
    dropped, *kept = await read(journal, 2, 4)
    assert (dropped.kind, dropped.data) == ("dropped", {"dropped": 5})
    assert [event.seq for event in kept] == [8, 9, 10]


async def test_a_number_from_another_life_of_the_daemon_begins_at_the_end() -> None:
    journal = Journal()
    journal.append(0.0, Note("n", "a"))
    watching = asyncio.create_task(read(journal, 999, 1))
    await asyncio.sleep(0)
    journal.append(0.0, Note("n", "b"))
    assert [event.text for event in await watching] == ["b"]


def test_the_past_is_told_newest_first_and_by_what_it_is_about() -> None:
    journal = Journal(capacity=6)
    for number in range(8):
        journal.append(float(number), Note("even" if number % 2 == 0 else "odd", str(number), sa=SaId(number % 3)))

    def texts(before: int | None, limit: int, sa: int | None = None, *kinds: str) -> tuple[list[str], int | None]:
        page = journal.past(before, limit, sa=None if sa is None else SaId(sa), kinds=frozenset(kinds))
        return [event.text for event in page.items], page.before

    assert texts(None, 4) == (["7", "6", "5", "4"], 5)
    assert texts(5, 4) == (["3", "2"], None)
    assert texts(None, 10, None, "odd") == (["7", "5", "3"], None)
    assert texts(None, 10, 1) == (["7", "4"], None)
    assert texts(None, 1, 1, "even", "odd") == (["7"], 8)
    assert texts(1, 10) == ([], None)
