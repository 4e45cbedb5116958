"""The README's promise: one command, and the page of a running gateway is open; a line of curl, and the client moves.

It takes as long as the demo itself, some ten seconds: nothing smaller shows that all of it fits together.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

START_S = 120.0
MUCH = 1 << 20
"""Octets: more than a pipe and who reads it may hold. The client's pings fill it in half a minute."""


@pytest_asyncio.fixture(loop_scope="module")
async def told() -> AsyncIterator[str]:
    """What the demo prints until it stays."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mobike.cli", "demo", "--stay",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert demo.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(START_S):
            while not lines or " status" not in lines[-1]:
                line = (await demo.stdout.readline()).decode()
                assert line, "".join(lines)
                lines.append(line)
        yield "".join(lines)
    finally:
        # As where its terminal is closed: both ends go with it, and the folder with their secrets.
        demo.terminate()
        await demo.communicate()
    assert left_behind("".join(lines)) == []


def left_behind(told: str) -> list[Path]:
    """Processes and secrets of a demo that has ended."""
    processes = [Path("/proc", pid) for pid in re.findall(r"is up \(process (\d+)\)", told)]
    folder = Path(found(r"--unix-socket (\S+)", told)).parent
    return [each for each in (*processes, folder) if each.exists()]


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, text
    return match[1]


async def test_the_demo_leads_to_two_pages_and_a_line_of_curl_moves_the_client(browser: Browser, told: str) -> None:
    errors: list[str] = []
    context = await browser.new_context()
    client, gateway = await context.new_page(), await context.new_page()
    for page, name in ((client, "client"), (gateway, "gateway")):
        page.on("console", lambda message: errors.append(message.text))
        await page.goto(found(rf"^  {name} +(\S+)$", told))
        await page.locator("#live[data-phase=live]").wait_for()
        await page.evaluate("location.hash = '/sas'")
        await page.locator("tbody a").first.click()
        await page.locator(".ladder li").first.wait_for()
    line = found(r"^  (curl --unix-socket .*)$", told)
    there = json.loads(found(r"-d '(.*)'", line))["local"]
    in_use = client.locator("tr", has_text="in use")
    await expect(in_use).not_to_contain_text(there)

    curl = await asyncio.create_subprocess_shell(f"{line} --fail --silent", stdout=asyncio.subprocess.DEVNULL)
    assert await curl.wait() == 0
    await expect(in_use).to_contain_text(there)
    await expect(gateway.locator(".lead .path bdi").last).to_contain_text(there)
    await context.close()
    assert errors == []

    (status,) = re.findall(r"^  (\S*mobike --socket .*)$", told, re.MULTILINE)
    shell = await asyncio.create_subprocess_shell(status, stdout=asyncio.subprocess.PIPE)
    assert b"you@demo.example" in (await shell.communicate())[0]

    # Nobody looks at the client's pings any more, and it does not stop for that.
    client_pid = found(r"client is up \(process (\d+)\)", told)
    pipe, left = os.open(f"/proc/{client_pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK), MUCH
    try:
        async with asyncio.timeout(20):
            while left > 0:
                try:
                    left -= os.write(pipe, b"\n" * min(left, 4096))
                except BlockingIOError:
                    await asyncio.sleep(0.02)
    finally:
        os.close(pipe)
