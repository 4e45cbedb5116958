"""What a list costs the gateway's turn. `python -m benches.listing [SAS]`

A fleet of 100,000 SAs, with the API in the same loop. Every 5 ms a turn is due, in which one peer moves. How late does
it begin while a client in another process reads all SAs as lines (NDJSON) over the Unix socket, and how late where
nobody asks for anything? Each is measured three times, in turn. Beside it stands the CPU time of a round of the loop,
which is what a turn waits for, and does not depend on what else the machine does.
"""

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from benches.fleet_decision import FIRST, PEER, Scene, scene
from mobike import _core, address
from mobike.address import Endpoint, SaId
from mobike.config import parse
from mobike.events import Nat, PeerMoved, Role
from mobike.exchange import Exchange
from mobike.gateway.books import GatewayBooks
from mobike.gateway.desk import Desk
from mobike.gateway.inventory import Stock
from mobike.gateway.journal import Journal
from mobike_api import ApiServer

SAS = 100_000
ROUNDS = 3
EVERY_S = 0.005
QUIET_S = 3.0
"""How long turns are measured while nobody asks."""

_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b"GET /api/v1/ike-sas HTTP/1.0\\r\\nHost: mobike\\r\\nAccept: application/x-ndjson\\r\\n\\r\\n")
lines = 0
while part := client.recv(1 << 16):
    lines += part.count(b'{"id":')
print(lines)
"""


class _Counts:
    def counters(self) -> dict[str, int]:
        return {}

    def exchanges(self, _sa: SaId, /) -> tuple[Exchange, ...] | None:
        return None


class Loop(asyncio.SelectorEventLoop):
    """Measures each of its rounds: what a turn that is due may have to wait for."""

    rounds: ClassVar[list[float]] = []

    def _run_once(self) -> None:
        begin = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.rounds.append(time.thread_time() - begin)


@dataclass
class Turns:
    """Turns that are due again and again, and how late each began."""

    host: Scene
    late: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)

    async def run_while(self, work: Callable[[], Awaitable[None]]) -> float:
        """How long the work took, in seconds."""
        loop = asyncio.get_running_loop()
        done = asyncio.ensure_future(work())
        begin = loop.time()
        sa = 0
        Loop.rounds.clear()
        while not done.done():
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.late.append(loop.time() - due)
            sa = sa % SAS + 1
            path = address.Path(Endpoint(FIRST, 4500), Endpoint(PEER + sa, 4501))
            self.host.hears(PeerMoved(SaId(sa), path, Nat.NONE, verified=True))
        self.rounds += Loop.rounds
        await done
        return loop.time() - begin

    def told(self) -> str:
        return f"{len(self.late):,} turns begin late by {_spread(self.late)}; CPU of a round: {_spread(self.rounds)}"


def _spread(seconds: list[float]) -> str:
    known = sorted(seconds)
    median, most, last = (1e3 * each for each in (statistics.median(known), known[len(known) * 99 // 100], known[-1]))
    return f"{median:.2f} ms, 99 %: {most:.2f} ms, longest: {last:.1f} ms"


async def main() -> None:
    sas = int(sys.argv[1]) if len(sys.argv) > 1 else SAS
    host = scene(sas, Role.RESPONDER)
    settings = parse("", _core, environ={}).settings
    desk = Desk(
        host.fleet,
        _Counts(),
        Journal(),
        carried=lambda _: None,
        hooks=dict,
        readings=tuple,
        order=lambda _: None,
        plug=None,
        troubles=tuple,
        inventory=Stock(lambda: settings),
    )
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "api.sock"
        books = GatewayBooks(Path(folder) / "api.db")
        server = ApiServer(desk, books, socket=socket, tcp=None, token_file=Path(folder) / "token")
        await server.start()
        quiet, busy, spans = Turns(host), Turns(host), []

        async def nothing() -> None:
            await asyncio.sleep(QUIET_S)

        async def list_all() -> None:
            client = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _CLIENT, str(socket), stdout=asyncio.subprocess.PIPE
            )
            told, _ = await client.communicate()
            assert int(told) == sas, told

        await list_all()  # what is made when it is first asked for is no part of this
        for _ in range(ROUNDS):
            await quiet.run_while(nothing)
            spans.append(await busy.run_while(list_all))
        await server.stop()
    print(f"{sas:,} SAs as lines in {statistics.median(spans):.2f} s, a turn due every {EVERY_S * 1e3:g} ms")
    print(f"nobody asks:  {quiet.told()}")
    print(f"all is listed: {busy.told()}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
