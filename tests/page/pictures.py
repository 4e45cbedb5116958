"""The pictures of the docs: `make pictures`. Look at them before they are committed."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from playwright.async_api import async_playwright

from tests.page.conftest import CHROMIUM, looking, standing
from tests.page.crowd import PICKED, a_crowd

VIEWS: Final = {
    "overview": "/", "sas": "/sas", "sa": f"/sas/{PICKED}", "moves": "/moves", "links": "/links", "events": "/events",
    "config": "/config",
}  # fmt: skip
SETTLED_S: Final = 0.4
"""For what is drawn last."""
SIZES: Final = {"wide": (1280, 860), "phone": (390, 844)}


async def take(folder: Path, wanted: list[str]) -> None:
    async with async_playwright() as playwright, standing(a_crowd(evil="printer@example.net")) as stand:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                for name, at in VIEWS.items():
                    file = f"{name}-{size}-{scheme}.png"
                    if wanted and file.removesuffix(".png") not in wanted:
                        continue
                    how: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
                    async with looking(browser, stand, at, **how) as page:
                        await page.locator(".room :is(table, .events, .link)").first.wait_for()
                        await asyncio.sleep(SETTLED_S)
                        await page.screenshot(path=folder / file, full_page=False)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]), sys.argv[2:]))
