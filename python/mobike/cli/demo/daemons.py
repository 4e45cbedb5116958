"""The demo's two processes and the API calls that drive them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 5.0
LOG_TAIL = 30


class DemoFailed(Exception):
    """Something went wrong that the demo cannot show its way around; the message says what."""


@dataclass(slots=True)
class Daemon:
    """One process with its log and its API on a Unix socket."""

    name: str
    log: Path
    process: asyncio.subprocess.Process
    http: httpx.AsyncClient

    @classmethod
    async def start(cls, name: str, module: str, config: Path, socket: Path) -> "Daemon":
        """Start `python -m module --config config` and wait until its API answers."""
        log = config.with_suffix(".log")
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, "run", "--config", str(config),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output,
            )  # fmt: skip
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        http = httpx.AsyncClient(transport=transport, base_url="http://mobike/api/v1", timeout=5.0)
        daemon = cls(name, log, process, http)
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await daemon._until_alive()
        except TimeoutError:
            await daemon.stop()
            raise DemoFailed(f"{name} did not come up; its last words:\n{daemon.last_words()}") from None
        return daemon

    async def _until_alive(self) -> None:
        while True:
            if self.process.returncode is not None:
                raise DemoFailed(f"{self.name} ended at once; its last words:\n{self.last_words()}")
            with suppress(httpx.TransportError):
                if (await self.http.get("http://mobike/livez")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.05)

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:])

    async def unheard(self) -> None:
        """Until it ends: nobody listens to its standard output any more, and it must not wait for that."""
        while self.process.stdout is not None and await self.process.stdout.read(65_536):
            pass

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """GET under /api/v1."""
        return (await self.http.get(path)).raise_for_status().json()

    async def plug(self, ip: str, *, available: bool) -> None:
        """Put the cable of an address in, or pull it."""
        (await self.http.put(f"/addresses/{ip}", json={"available": available})).raise_for_status()

    async def page_token(self) -> str:
        """A token for the web page, for a day: enough to order things and to change the configuration."""
        order = {"name": "demo-page", "scope": "configure", "lifetime_s": 86_400}
        return str((await self.http.post("/tokens", json=order)).raise_for_status().json()["text"])

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Every event since the daemon began, then new ones."""
        async with self.http.stream("GET", "/events", headers={"Last-Event-ID": "0"}, timeout=None) as stream:
            stream.raise_for_status()
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    async def stop(self) -> None:
        """Ask it to end; make it end."""
        await self.http.aclose()
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(STOP_DEADLINE_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
