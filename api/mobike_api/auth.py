"""Who calls. A process of our own user (or root) on the Unix socket is believed; everybody else shows a token,
or a certificate whose name is known.

Everything is closed but what is named open, so a route that somebody forgets about is closed too. What a caller may do
is said at each route (`scopes`).
"""

import hmac
import os
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from mobike.facade import books
from mobike.facade.books import Access
from mobike_api import page
from mobike_api.caller import Caller, address_of, remember
from mobike_api.limits import CALLS, FAILURES, Limiter
from mobike_api.problems import FORBIDDEN, TOO_OFTEN, UNAUTHORIZED, problem
from mobike_api.tls import PEER_NAMES, scope_of

PEER_UID: Final = "mobike.peer_uid"
"""Key of the ASGI scope: who is at the other end of the Unix socket, as the kernel says. Absent on TCP."""

OPEN: Final = frozenset({"/livez", "/readyz"}) | page.PATHS
"""For those who watch over the daemon: they learn whether it lives, and no more. And the files of the page, which
hold nothing."""


class Auth:
    """Lets a request pass, or answers 401, or 429."""

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        access: Access,
        *,
        calls: Limiter | None = None,
        failures: Limiter | None = None,
        clients: Mapping[str, books.Scope] | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._access = access
        self._calls = calls or Limiter(CALLS)
        self._failures = failures or Limiter(FAILURES)
        self._clients = clients or {}
        self._trusted = {0, os.geteuid()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        await self._answers(scope)(scope, receive, send)

    def _answers(self, scope: Scope) -> ASGIApp:
        if _is_from_elsewhere(scope):
            hint = "open the daemon's own page, or ask without a browser"
            return problem(FORBIDDEN, "a page from elsewhere asks for this", hint=hint)
        caller = self._caller(scope)
        if caller is None:
            wait = self._failures.take(_place(scope))
            return self._refusal(scope) if wait is None else _too_often("wrong tokens", wait)
        wait = self._calls.take(caller.name)
        if wait is not None:
            return _too_often(f"calls of {caller.name}", wait)
        remember(scope, caller)
        return self._app

    def _caller(self, scope: Scope) -> Caller | None:
        uid = scope.get(PEER_UID)
        if uid in self._trusted:
            return Caller(f"user {uid}", "unix", books.Scope.ADMIN)
        shown = _shown(scope)
        if shown is None:
            return self._certified(scope) if _authorization(scope) is None else None
        if self._token is not None and hmac.compare_digest(shown, self._token.encode()):
            return Caller("token file", address_of(scope), books.Scope.ADMIN)
        held = self._access.holder(shown.decode("ascii", errors="replace"))
        return None if held is None else Caller(f"token {held.id} ({held.name})", address_of(scope), held.scope)

    def _certified(self, scope: Scope) -> Caller | None:
        held = scope_of(scope.get(PEER_NAMES, ()), self._clients)
        return None if held is None else Caller(f"certificate {held[0]}", address_of(scope), held[1])

    def _refusal(self, scope: Scope) -> ASGIApp:
        if _authorization(scope) is None:
            detail, challenge = "this needs a token of the API", 'Bearer realm="mobike"'
        else:
            detail = "this is no token of the API, or it has expired"
            challenge = 'Bearer realm="mobike", error="invalid_token"'
        uid = scope.get(PEER_UID)
        if uid is not None:
            detail = f"user {uid} is neither root nor the daemon's own user, and {detail}"
        hint = "send 'Authorization: Bearer TOKEN'; mobike token create makes one, the daemon's token_file holds one"
        return problem(UNAUTHORIZED, detail, hint=hint, headers={"WWW-Authenticate": challenge})


def _too_often(what: str, wait_s: int) -> ASGIApp:
    hint = f"try again in {wait_s} s"
    return problem(TOO_OFTEN, f"too many {what}", hint=hint, headers={"Retry-After": str(wait_s)})


def _is_from_elsewhere(scope: Scope) -> bool:
    """Browsers say whose page asks (Fetch Metadata). They show a certificate for any page; only ours has a token."""
    said = [value for name, value in scope["headers"] if name == b"sec-fetch-site"]
    return any(value in {b"cross-site", b"same-site"} for value in said)


def _place(scope: Scope) -> str:
    uid = scope.get(PEER_UID)
    return address_of(scope) if uid is None else f"user {uid}"


def _shown(scope: Scope) -> bytes | None:
    scheme, _, token = (_authorization(scope) or b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def _authorization(scope: Scope) -> bytes | None:
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    return found[0] if len(found) == 1 else None
