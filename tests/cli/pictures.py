"""Pictures of the command on a terminal, for docs/cli.md: `make pictures`. Look at them before they are committed.

The command runs in a pty, over the API of the crowd that the page's pictures show, too.
"""

import asyncio
import sys
import tempfile
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright
from pyte.screens import Char

from tests.cli.terminal import Terminal, running
from tests.page.conftest import CHROMIUM, standing
from tests.page.crowd import PICKED
from tests.page.pictures import used

WORDS: Final = {
    "watch": ("watch",),
    "why": ("why", "198.51.100.7"),
    "explain": ("explain", PICKED),
    "status": ("status", PICKED),
    "list": ("list", "ike-sas", "-n", "12"),
}
COLUMNS, ROWS = 110, 34
SETTLED_S: Final = 1.5
"""For a screen that lives."""
_COLORS: Final = {
    "default": "#d7dae0", "black": "#1d1f21", "red": "#f2777a", "green": "#99cc99", "brown": "#ffcc66",
    "blue": "#6699cc", "magenta": "#cc99cc", "cyan": "#66cccc", "white": "#d7dae0",
}  # fmt: skip
_STYLE: Final = (
    "body{margin:0;background:#16181d}pre{font:15px/1.35 'DejaVu Sans Mono',monospace;margin:0;padding:18px 22px;"
    "display:inline-block;background:#16181d;color:#d7dae0}"
)


async def take(folder: Path, wanted: list[str]) -> None:
    """Each that is wanted, as a file; all, if none is named."""
    async with async_playwright() as playwright, standing(used()) as stand:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(device_scale_factor=1.5)
        with tempfile.NamedTemporaryFile("w") as token:
            token.write(stand.token)
            token.flush()
            at = ("--url", stand.url.rstrip("/"), "--token-file", token.name)
            for name, words in WORDS.items():
                if not wanted or name in wanted:
                    html = await asyncio.to_thread(_typed, at, words)
                    await page.set_content(f"<meta charset=utf-8><style>{_STYLE}</style><pre>{html}</pre>")
                    await page.locator("pre").screenshot(path=folder / f"cli-{name}.png")
        await browser.close()


def _typed(at: tuple[str, ...], words: tuple[str, ...]) -> str:
    """What stands on the screen."""
    command = Path(sys.executable).with_name("mobike")
    with running(command, *at, *words, columns=COLUMNS, rows=ROWS) as terminal:
        if words[0] == "watch":
            terminal.until(lambda screen: "IKE SA" in screen, "the screen")
            terminal.look(SETTLED_S)
        else:
            terminal.end()
        return "\n".join([f'<span style="color:#7f8794">$</span> mobike {" ".join(words)}', *_drawn(terminal)])


def _drawn(terminal: Terminal) -> list[str]:
    lines = []
    for row in range(len(terminal.lines)):
        cells = terminal.screen.buffer[row]
        told = [cells[column] for column in range(COLUMNS)]
        lines.append("".join(_span(style, "".join(each.data for each in run)) for style, run in groupby(told, _style)))
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]


def _style(cell: Char) -> str:
    color = _COLORS.get(cell.fg.removeprefix("bright"), f"#{cell.fg}")
    back = "" if cell.bg == "default" else f"background:{_COLORS.get(cell.bg, f'#{cell.bg}')};"
    strong = "font-weight:bold;" if cell.bold else ""
    return "" if (color, back, strong) == (_COLORS["default"], "", "") else f"color:{color};{back}{strong}"


def _span(style: str, words: str) -> str:
    return f'<span style="{style}">{escape(words)}</span>' if style else escape(words)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]), sys.argv[2:]))
