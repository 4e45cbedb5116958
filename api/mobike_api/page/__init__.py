"""The web page: files that hold no data and no secret, read once. All that it shows it asks the API for, with a token.

Read `files/app.js` first: it signs in, follows the events, and chooses the view.
"""

from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

HEADERS: Final = {
    # No inline script or style, nothing from elsewhere, no frames, no text that is ever read as HTML.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _File:
    """One file, with the headers that go with it."""

    def __init__(self, source: Traversable) -> None:
        self.content = source.read_bytes()
        suffix = "." + source.name.rpartition(".")[2]
        self.headers = {
            "Content-Type": _TYPES[suffix],
            "ETag": f'"{sha256(self.content).hexdigest()[:32]}"',
            # Asked for each time, and sent when it is another: an upgrade never meets half of the page before.
            "Cache-Control": "no-store" if suffix == ".html" else "no-cache",
            **(HEADERS if suffix in {".html", ".svg"} else {}),
        }

    def answer(self, request: Request) -> Response:
        if self.headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def _read() -> dict[str, _File]:
    folder = files("mobike_api.page") / "files"
    return {
        "/" if each.name == "index.html" else f"/page/{each.name}": _File(each)
        for each in folder.iterdir()
        if "." + each.name.rpartition(".")[2] in _TYPES
    }


_FILES: Final = _read()

PATHS: Final = frozenset(_FILES)
"""Open to all: who has no token sees a place to put one."""

router = APIRouter(include_in_schema=False)


async def show_page(request: Request) -> Response:
    return _FILES[request.url.path].answer(request)


for _path in sorted(_FILES):
    router.add_api_route(_path, show_page, methods=["GET", "HEAD"])
