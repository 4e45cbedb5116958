"""A browser, a gateway to look at, and pages that end in an error if anything went wrong in them.

Server, browser and tests share one loop: what a test does to the gateway is seen by the page as it happens.
"""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from mobike_api import ApiServer
from tests.api.books import some_books
from tests.page.crowd import Crowd, a_crowd

CHROMIUM: Final = Path("/usr/bin/chromium")
PATIENCE_MS: Final = 60_000
"""Of each wait in the page: for a machine that has much else to do."""
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Stand:
    """A gateway that the page can look at."""

    crowd: Crowd
    url: str
    token: str


@dataclass
class Looked:
    """What went on in one page."""

    base: str
    errors: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(each in message.text for each in self.forgiven):
            self.errors.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(self.base):
            self.errors.append(f"asked for {url}")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium (.ci/system-packages)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        await browser.close()


@asynccontextmanager
async def standing(crowd: Crowd) -> AsyncIterator[Stand]:
    """Serve the API and the page over a crowd."""
    with tempfile.TemporaryDirectory() as folder:
        token_file = Path(folder) / "token"
        server = ApiServer(crowd, some_books(), socket=None, tcp=("127.0.0.1", 0), token_file=token_file)
        await server.start()
        assert server.tcp_address is not None
        try:
            yield Stand(crowd, f"http://127.0.0.1:{server.tcp_address[1]}/", token_file.read_text().strip())
        finally:
            await server.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with standing(a_crowd()) as stand:
        yield stand


@asynccontextmanager
async def looking(
    browser: Browser, stand: Stand, at: str = "/", *, signed_in: bool = True, forgiven: tuple[str, ...] = (), **how: Any
) -> AsyncIterator[Page]:
    """A fresh page of a fresh browser profile, signed in, at one of the views."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    looked = Looked(stand.url, forgiven=forgiven)
    looked.watch(page)
    try:
        await page.goto(stand.url + (f"#token={stand.token}" if signed_in else ""))
        if signed_in:
            await page.locator("#live[data-phase=live]").wait_for()
            await page.evaluate("at => { location.hash = at }", at)
            await page.locator(".room").wait_for()
        yield page
    finally:
        await context.close()
    assert looked.errors == []


Look: TypeAlias = Callable[..., AbstractAsyncContextManager[Page]]


@pytest.fixture
def look(browser: Browser, stand: Stand) -> Look:
    """Open a view: `async with look("/sas") as page`."""
    return lambda at="/", **how: looking(browser, stand, at, **how)
