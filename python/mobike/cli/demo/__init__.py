"""`mobike demo`: a gateway and a client in two processes on loopback, real IKEv2, real ESP, and two moves.

Read `story` (what must hold), then `Director` below (what is done), then `view` (what is seen).
"""

import asyncio
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live

from mobike.address import Endpoint, Nanos
from mobike.cli.demo.configs import Files, write
from mobike.cli.demo.daemons import Daemon, DemoFailed
from mobike.cli.demo.story import CAFE, LTE, NETWORKS, WIFI, Act, Kind, Network, Sample, judge
from mobike.cli.demo.view import Screen, print_line, table_of

FRAMES_PER_SECOND = 12
STEP_DEADLINE_S = 15.0
CALM_S = 1.2
"""Between the steps, so that a person can follow, and so that a loss belongs to one step only."""
SETTLED_S = 0.5
"""A ping this old that is not answered is lost; on this machine an answer takes a millisecond."""

BY_ADDRESS = {network.address: network for network in NETWORKS}


def run_demo(*, stay: bool, console: Console | None = None) -> int:
    """Run it; 0 if all went as it should. `stay` leaves the gateway and its API up until Ctrl-C."""
    console = console or Console()
    try:
        return asyncio.run(_run(console, stay=stay))
    except DemoFailed as failed:
        console.print(f"[bold red]✗[/] {failed}", highlight=False)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def _end_when_told() -> None:
    """As by Ctrl-C where its terminal is closed, or somebody kills it: both processes and their folder go with it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if task is not None and signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, task.cancel)


async def _run(console: Console, *, stay: bool) -> int:
    _end_when_told()
    with tempfile.TemporaryDirectory(prefix="mobike-demo-") as folder:
        files = write(Path(folder), secrets.token_urlsafe(24))
        async with AsyncExitStack() as stack:
            director = Director(console)
            screen = Live(director.screen, console=console, refresh_per_second=FRAMES_PER_SECOND)
            with screen if console.is_terminal else nullcontext():
                try:
                    await director.play(files, stack)
                except* (TimeoutError, httpx.HTTPError) as errors:
                    raise DemoFailed(director.explain(errors.exceptions[0])) from errors
                except* DemoFailed as errors:
                    raise DemoFailed("; ".join(map(str, errors.exceptions))) from None
            verdict = judge(director.acts, director.settled(), director.repeated)
            console.print(table_of(director.acts, verdict))
            if stay:
                await director.stay(files)
            else:
                console.print(
                    f"To look at it in a browser, and move it by curl: {_our_name()} demo --stay", highlight=False
                )
        return 0 if verdict.good else 1


class Director:
    """Does what the story says and watches what comes of it."""

    def __init__(self, console: Console) -> None:
        now = Nanos(time.monotonic_ns())
        self.screen = Screen(now, now)
        self.acts: list[Act] = []
        self.repeated = 0
        self._console = console
        self._samples: dict[int, Sample] = {}
        self._moves: asyncio.Queue[tuple[Nanos, dict[str, Any]]] = asyncio.Queue()
        self._follows: asyncio.Queue[tuple[Nanos, str]] = asyncio.Queue()
        self._up = asyncio.Event()
        self._pings = asyncio.Event()
        self._daemons: list[Daemon] = []
        # Events carry the time of day; pings the monotonic clock. Both are this machine's.
        self._epoch = time.monotonic_ns() - time.time_ns()

    async def play(self, files: Files, stack: AsyncExitStack) -> None:
        """The whole story."""
        self._stage("starting a gateway and a client, each a process of its own")
        async with asyncio.TaskGroup() as tasks:
            watchers = [tasks.create_task(self._tick())]
            gateway = await self._start(stack, "gateway", "mobike.cli", files.gateway, files.gateway_socket)
            client = await self._start(stack, "client", "mobike.cli.demo.client", files.client, files.client_socket)
            watchers += [
                tasks.create_task(self._watch_pings(client)),
                tasks.create_task(self._watch_events(client)),
                tasks.create_task(self._watch_gateway(gateway)),
            ]
            self.screen.plugged.add(WIFI.address)
            async with asyncio.timeout(STEP_DEADLINE_S):
                await self._up.wait()
                await self._pings.wait()
            await self._acts(client, gateway)
            self._stage("the end")
            for watcher in watchers:
                watcher.cancel()

    async def _acts(self, client: Daemon, gateway: Daemon) -> None:
        self._stage("100 pings a second go through the tunnel over wifi")
        await asyncio.sleep(CALM_S)

        self._stage("first move: a better network appears while the old one still works")
        act = self._act(Kind.MAKE_BEFORE_BREAK, WIFI, LTE)
        await self._plug(client, LTE, available=True)
        await self._moved(act)
        await asyncio.sleep(CALM_S)
        act.pulled = await self._plug(client, WIFI, available=False)
        await asyncio.sleep(CALM_S)

        self._stage("second move: the network in use dies without a word")
        act = self._act(Kind.BREAK_BEFORE_MAKE, LTE, CAFE)
        await self._plug(client, CAFE, available=True)
        await asyncio.sleep(CALM_S)
        act.pulled = await self._plug(client, LTE, available=False)
        await self._moved(act)
        await asyncio.sleep(CALM_S)

        self._stage("asking both ends where they think the tunnel is")
        await self._agree(client, gateway)
        await asyncio.sleep(SETTLED_S)

    def settled(self) -> list[Sample]:
        """The pings that are old enough to be judged."""
        end = self.screen.now - SETTLED_S * 1e9
        return [sample for sample in self._samples.values() if sample.sent < end]

    def explain(self, error: Exception) -> str:
        """What a person needs when the story stops in the middle."""
        words = "\n".join(f"--- {daemon.name}:\n{daemon.last_words()}" for daemon in self._daemons)
        return f"while {self.screen.stage}: {type(error).__name__} {error}\n{words}"

    async def stay(self, files: Files) -> None:
        """Leave both ends up until Ctrl-C, and say how to reach the gateway."""
        gateway, client = self._daemons
        for network in (WIFI, LTE):
            await client.plug(network.address, available=True)
        url = f"http://127.0.0.1:{files.api_port}"
        order = json.dumps({"order": "move", "select": {}, "local": WIFI.address})
        self._console.print(
            f"\nBoth ends stay up; Ctrl-C ends them. Their pages, with a token that is good for a day:\n"
            f"  gateway  {url}/#token={await gateway.page_token()}\n"
            f"  client   http://127.0.0.1:{files.client_api_port}/#token={await client.page_token()}\n"
            f"Move the client, and see it in both:\n"
            f"  curl --unix-socket {files.client_socket} http://mobike/api/v1/operations"
            f" -H 'Content-Type: application/json' -d '{order}'\n"
            f"The API and the command:\n"
            f'  curl -H "Authorization: Bearer $(cat {files.token})" {url}/api/v1/ike-sas\n'
            f"  {_our_name()} --socket {files.gateway_socket} status",
            highlight=False, soft_wrap=True, markup=False,
        )  # fmt: skip
        await asyncio.gather(*(daemon.unheard() for daemon in self._daemons))

    async def _start(self, stack: AsyncExitStack, name: str, module: str, config: Path, socket: Path) -> Daemon:
        daemon = await Daemon.start(name, module, config, socket)
        stack.push_async_callback(daemon.stop)
        self._daemons.append(daemon)
        self._say(f"{name} is up (process {daemon.process.pid})")
        return daemon

    async def _plug(self, client: Daemon, network: Network, *, available: bool) -> Nanos:
        now = Nanos(time.monotonic_ns())
        if available:
            self.screen.plugged.add(network.address)
            self._say(f"cable in: {network.name} {network.address}", network.colour)
        else:
            self.screen.plugged.discard(network.address)
            self._say(f"cable pulled: {network.name} {network.address}", "red")
        await client.plug(network.address, available=available)
        return now

    def _act(self, kind: Kind, start: Network, goal: Network) -> Act:
        act = Act(kind, start, goal)
        self.acts.append(act)
        return act

    async def _moved(self, act: Act) -> None:
        async with asyncio.timeout(STEP_DEADLINE_S):
            while True:
                at, event = await self._moves.get()
                if _local_of(event["data"]["path"]) == act.goal.address:
                    break
            while True:
                followed, remote = await self._follows.get()
                if remote == act.goal.address:
                    break
        act.moved, act.took_ms, act.why = at, event["data"]["duration_ms"], event["data"]["why"]
        act.followed = followed

    async def _agree(self, client: Daemon, gateway: Daemon) -> None:
        (ours,) = (await client.get("/ike-sas"))["items"]
        (theirs,) = (await gateway.get("/ike-sas"))["items"]
        if not (ours["local"] == theirs["remote"] and ours["remote"] == theirs["local"]):
            raise DemoFailed(
                f"the ends disagree: the client says {ours['local']} -> {ours['remote']}, "
                f"the gateway {theirs['remote']} -> {theirs['local']}"
            )
        self._say(f"both ends agree: {ours['local']} -> {ours['remote']}", "green")

    async def _watch_pings(self, client: Daemon) -> None:
        if client.process.stdout is None:
            raise DemoFailed("the client has no standard output")
        async for line in client.process.stdout:
            report = json.loads(line)
            self.repeated = report["repeated"]
            for number, sent, answered in report["pings"]:
                sample = Sample(number, Nanos(sent), None if answered is None else Nanos(answered))
                self._samples[number] = sample
                if not sample.lost:
                    self._pings.set()

    async def _watch_events(self, client: Daemon) -> None:
        async for event in client.events():
            at = Nanos(int(event["at"] * 1e9) + self._epoch)
            match event["kind"]:
                case "sa-up":
                    self._up.set()
                    (sa,) = (await client.get("/ike-sas"))["items"]
                    self.screen.tunnel = sa["suite"]
                    self._now_over(at, WIFI.address)
                    self._say(event["text"], "bold", at)
                case "moved":
                    self._now_over(at, _local_of(event["data"]["path"]))
                    self._moves.put_nowait((at, event))
                    self._say(event["text"], "bold green", at)
                case "moving" | "connecting" | "connect-failed" | "sa-down" | "path-silent" | "waiting":
                    self._say(event["text"], "", at)
                case _:
                    pass

    async def _watch_gateway(self, gateway: Daemon) -> None:
        async for event in gateway.events():
            if event["kind"] == "peer-moved":
                at = Nanos(int(event["at"] * 1e9) + self._epoch)
                remote = str(Endpoint.parse(event["data"]["path"].split(" -> ")[1]).ip)
                self._follows.put_nowait((at, remote))
                self._say(f"The gateway has proof of {remote} and follows", "green", at)

    async def _tick(self) -> None:
        while True:
            self.screen.now = Nanos(time.monotonic_ns())
            latest = sorted(self._samples)[-(self.screen.samples.maxlen or 1) :]
            self.screen.samples.clear()
            self.screen.samples.extend(self._samples[number] for number in latest)
            settled = self.settled()
            self.screen.sent = len(self._samples)
            self.screen.lost = sum(sample.lost for sample in settled)
            await asyncio.sleep(1 / FRAMES_PER_SECOND)

    def _now_over(self, at: Nanos, local: str) -> None:
        network = BY_ADDRESS[local]
        self.screen.current = network
        self.screen.networks_at.append((at, network))

    def _stage(self, text: str) -> None:
        self.screen.stage = text
        self._say(text, "italic")

    def _say(self, text: str, style: str = "", at: Nanos | None = None) -> None:
        line = self.screen.say(Nanos(time.monotonic_ns()) if at is None else at, text, style)
        if not self._console.is_terminal:
            print_line(self._console, line)


def _local_of(path: str) -> str:
    """The local address of `192.0.2.7:4500 -> 203.0.113.1:4500`."""
    return str(Endpoint.parse(path.split(" -> ", maxsplit=1)[0]).ip)


def _our_name() -> str:
    """What a person types here: nobody has put a fresh checkout on PATH."""
    name = Path(sys.argv[0]).name
    if shutil.which(name) is not None:
        return name
    beside = Path(sys.executable).with_name("mobike")
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
