"""The pictures of the docs: `make pictures`. Look at them before they are committed."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, async_playwright

from tests.page.conftest import CHROMIUM, looking, standing
from tests.page.crowd import PICKED, Crowd, a_crowd

VIEWS: Final = {
    "overview": "/", "sas": "/sas", "sa": f"/sas/{PICKED}", "failures": "/failures", "moves": "/moves",
    "links": "/links", "events": "/events", "config": "/config", "credentials": "/credentials",
    "log-levels": "/log-levels", "access": "/access",
}  # fmt: skip
SETTLED_S: Final = 0.4
"""For what is drawn last."""
SIZES: Final = {"wide": (1280, 860), "phone": (390, 844)}


async def take(folder: Path, wanted: list[str], *, whole: bool) -> None:
    """`whole`: to the end of the page, as far as that is."""
    async with async_playwright() as playwright, standing(used()) as stand:
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
                        await touched(name, page)
                        await asyncio.sleep(SETTLED_S)
                        await page.screenshot(path=folder / file, full_page=whole)
        await browser.close()


def used() -> Crowd:
    crowd = a_crowd(evil="printer@example.net")
    crowd.configurations.revision = 4
    crowd.log_levels.set_rule("203.0.113.9", "debug", 540, by="alice")
    crowd.log_levels.set_rule("roadwarriors", "warning", 7000, by="token file")
    return crowd


async def touched(name: str, page: Page) -> None:
    """As somebody leaves it who has used it."""
    match name:
        case "config":
            await page.get_by_role("button", name="Compare").click()
            await page.locator("table.diff").first.wait_for()
            await page.get_by_role("button", name="What revision 3 changed").click()
            await page.locator("table.diff").nth(1).wait_for()
        case "sa":
            await page.get_by_label("Without").select_option("wlan0")
            await page.locator(".what-if table").wait_for()
        case "links":
            if await (drain := page.get_by_role("button", name="Drain wwan0")).count():  # in the picture before
                await drain.click()
                await page.get_by_role("dialog").get_by_role("button", name="Drain it").click()
            await page.locator(".operations li").first.wait_for()
        case "credentials":
            await page.get_by_role("button", name="Replace annex").click()
        case _:
            pass


if __name__ == "__main__":
    names = [each for each in sys.argv[2:] if each != "--whole"]
    asyncio.run(take(Path(sys.argv[1]), names, whole="--whole" in sys.argv))
