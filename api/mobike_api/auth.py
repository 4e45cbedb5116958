"""Who may call. A process of our own user (or root) on the Unix socket is believed; everybody else shows the token.

Everything is closed but what is named open, so a route that somebody forgets about is closed too.
"""

import hmac
import os
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from mobike_api.problems import UNAUTHORIZED, problem

PEER_UID: Final = "mobike.peer_uid"
"""Key of the ASGI scope: who is at the other end of the Unix socket, as the kernel says. Absent on TCP."""

OPEN: Final = frozenset({"/livez", "/readyz"})
"""For those who watch over the daemon: they learn whether it lives, and no more."""


class Auth:
    """Lets a request pass, or answers 401."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token
        self._trusted = {0, os.geteuid()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or self._is_trusted(scope) or self._shows_token(scope):
            await self._app(scope, receive, send)
            return
        await self._refusal(scope)(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        return scope.get(PEER_UID) in self._trusted

    def _shows_token(self, scope: Scope) -> bool:
        shown = _authorization(scope)
        if self._token is None or shown is None:
            return False
        scheme, _, token = shown.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token.encode())

    def _refusal(self, scope: Scope) -> ASGIApp:
        if _authorization(scope) is None:
            detail, challenge = "this needs the token of the API", 'Bearer realm="mobike"'
        else:
            detail, challenge = "this is not the token of the API", 'Bearer realm="mobike", error="invalid_token"'
        uid = scope.get(PEER_UID)
        if uid is not None:
            detail = f"user {uid} is neither root nor the daemon's own user, and {detail}"
        hint = "send 'Authorization: Bearer TOKEN'; the daemon's token_file holds it"
        return problem(UNAUTHORIZED, detail, hint=hint, headers={"WWW-Authenticate": challenge})


def _authorization(scope: Scope) -> bytes | None:
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    return found[0] if len(found) == 1 else None
