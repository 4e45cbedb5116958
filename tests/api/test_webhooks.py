"""Events are told to who wants to hear of them: signed, in order, again until they are taken, and not for ever."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mobike.facade import EventView
from mobike_api.metrics import Metrics
from mobike_api.operations import Operations
from mobike_api.webhooks import MOST_EVENTS, TRIES, Webhook, Webhooks
from tests.api.house import BORN, House

SECRET = b"a secret of some length"


@dataclass
class Receiver:
    """A server that answers as it is told to, 200 at the end of its list; and what came."""

    answers: list[bytes] = field(default_factory=list)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.came for event in json.loads(body)["events"]]

    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events()]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                assert head[0] == "POST /hook HTTP/1.1"
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.came.append((headers, body))
                status = self.answers.pop(0) if self.answers else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hooked(
    receiver: Receiver, house: House, *, events: tuple[str, ...] = ("*",), url: str | None = None
) -> AsyncIterator[Webhooks]:
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    hook = Webhook("pager", url or receiver.url, SECRET, events)
    webhooks = Webhooks(house, (hook,), clock=lambda: 1_790_000_000.9, chance=lambda: 0.5, first_pause_s=0.001)
    webhooks.start()
    await until(lambda: house.open_streams == 1)
    try:
        yield webhooks
    finally:
        await webhooks.stop()
        server.close()
        await server.wait_closed()
    assert house.open_streams == 0


async def until(done: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_event_is_told_and_signed() -> None:
    receiver, house = Receiver(), House()
    async with hooked(receiver, house):
        house.tell("sa-down", "IKE SA is down", sa="1")
        await until(lambda: receiver.came)
    headers, body = receiver.came[0]
    assert json.loads(body) == {
        "type": "events",
        "events": [
            {
                "seq": 1, "at": BORN + 1, "kind": "sa-down", "sa": "1", "connection": "office",
                "text": "IKE SA is down", "data": {"n": 1},
            }
        ],
    }  # fmt: skip
    assert headers["content-type"] == "application/json"
    assert headers["webhook-timestamp"] == "1790000000"
    signed = f"{headers['webhook-id']}.1790000000.".encode() + body
    mac = base64.b64encode(hmac.new(SECRET, signed, "sha256").digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"


async def test_only_what_was_asked_for_is_told_and_gaps_always() -> None:
    receiver, house = Receiver(), House()
    async with hooked(receiver, house, events=("move-*", "sa-down")) as webhooks:
        for kind in ("moved", "move-failed", "sa-up", "sa-down", "dropped", "sa-downright"):
            house.tell(kind, "..")
        await until(lambda: len(receiver.events()) == 3)
        await until(lambda: webhooks.tallies["pager"].told == 3)
    assert [event["kind"] for event in receiver.events()] == ["move-failed", "sa-down", "dropped"]


async def test_many_at_once_are_few_messages_in_order() -> None:
    receiver, house = Receiver(), House()
    async with hooked(receiver, house):
        for _ in range(3 * MOST_EVENTS):
            house.tell("moved", "..")
        await until(lambda: len(receiver.seqs()) >= 3 * MOST_EVENTS)
    assert receiver.seqs() == list(range(1, 3 * MOST_EVENTS + 1))
    assert all(len(json.loads(body)["events"]) <= MOST_EVENTS for _, body in receiver.came)
    assert len(receiver.came) < MOST_EVENTS


@pytest.mark.parametrize("answer", [b"500 Oops", b"404 Gone", b"302 Found\r\nlocation: http://127.0.0.1:1/"])
async def test_what_is_not_taken_is_told_again_under_the_same_id_and_before_all_else(answer: bytes) -> None:
    receiver, house = Receiver([answer, answer]), House()
    async with hooked(receiver, house) as webhooks:
        house.tell("moved", "first")
        await until(lambda: len(receiver.came) >= 1)
        house.tell("moved", "second")
        await until(lambda: webhooks.tallies["pager"].told == 2)
        tally = webhooks.tallies["pager"]
    assert (tally.told, tally.given_up, tally.failed_tries, tally.last_error) == (2, 0, 2, None)
    assert receiver.seqs() == [1, 1, 1, 2]
    assert len({headers["webhook-id"] for headers, _ in receiver.came[:3]}) == 1
    assert receiver.came[3][0]["webhook-id"] != receiver.came[0][0]["webhook-id"]


async def test_after_so_many_tries_events_are_given_up_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    receiver, house = Receiver([b"503 Busy"] * TRIES), House()
    async with hooked(receiver, house) as webhooks:
        house.tell("moved", "first")
        await until(lambda: webhooks.tallies["pager"].given_up == 1)
        assert webhooks.tallies["pager"].last_error == "it answered 503"
        house.tell("moved", "second")
        await until(lambda: webhooks.tallies["pager"].told == 1)
        numbers = Metrics(house, Operations(house), webhooks).told(None)[0].decode()
    assert receiver.seqs() == [1] * TRIES + [2]
    assert "webhook pager: 1 events given up: it answered 503" in caplog.text
    assert 'mobike_webhook_events_total{result="given_up",webhook="pager"} 1.0' in numbers
    assert 'mobike_webhook_events_total{result="told",webhook="pager"} 1.0' in numbers
    assert f'mobike_webhook_failed_tries_total{{webhook="pager"}} {TRIES}.0' in numbers


async def test_nobody_there_is_a_try_in_vain_like_any_other() -> None:
    receiver, house = Receiver(), House()
    async with hooked(receiver, house, url="http://127.0.0.1:1/hook") as webhooks:
        house.tell("moved", "first")
        await until(lambda: webhooks.tallies["pager"].given_up == 1)
        assert webhooks.tallies["pager"].last_error == "it cannot be reached: ConnectError"


async def test_who_falls_behind_is_told_how_many_are_gone() -> None:
    receiver, house = Receiver(), House()
    async with hooked(receiver, house, events=("nothing-else",)) as webhooks:
        house.seq += 1
        house.ring.append(EventView(house.seq, BORN, "dropped", None, None, "500 are gone", {"dropped": 500}))
        house.bell.set()
        await until(lambda: webhooks.tallies["pager"].told == 1)
        assert webhooks.tallies["pager"].missed == 500


async def test_the_daemon_ends_at_once_while_a_receiver_is_silent() -> None:
    receiver, house = Receiver([b"503 Busy"] * 3), House()
    before = asyncio.all_tasks()
    webhooks = Webhooks(house, (Webhook("pager", "http://127.0.0.1:1/", SECRET),), first_pause_s=3600)
    webhooks.start()
    await until(lambda: house.open_streams == 1)
    house.tell("moved", "..")
    await until(lambda: webhooks.tallies["pager"].failed_tries == 1)
    await asyncio.wait_for(webhooks.stop(), 30)
    assert asyncio.all_tasks() == before
    assert receiver.came == []


def test_the_secret_is_in_no_text() -> None:
    assert "secret of" not in repr(Webhook("pager", "https://example.net/", SECRET))
