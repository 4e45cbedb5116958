"""The daemon's API as a command sees it: JSON in and out, and every error one line."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from mobike.cli.failure import ExitCode, Failure, Missing
from mobike.cli.http import TIMEOUT_S, Answer, Client
from mobike.places import default_socket, default_token_file

if TYPE_CHECKING:
    from ssl import SSLContext

Json: TypeAlias = dict[str, Any]

FOLLOW_S: Final = 45.0
"""Between two signs of life of a stream of events: three heartbeats of the daemon."""

START_IT: Final = "start one with 'mobike run --config FILE'"
NAME_AUTHORITY: Final = "name the file of the authority that signed its certificate with --ca-file"


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon is meant."""

    socket: Path | None = None
    url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    """Who must have signed its certificate; None: one that this system trusts."""

    @property
    def place(self) -> str:
        return self.url or str(self.socket or default_socket())

    def open(self) -> Client:
        """A client of its API. No proxy of the environment stands between us and our own machine."""
        if self.url is None:
            return Client.over_unix(self.place)
        trust = self._trust() if self.url.startswith("https:") else None
        return Client.at(self.url, {"Authorization": f"Bearer {self._token()}"}, trust)

    def _trust(self) -> "SSLContext":
        from ssl import create_default_context  # noqa: PLC0415 - of few calls

        try:
            return create_default_context(cafile=self.ca_file)
        except OSError as problem:
            raise Failure(f"cannot read certificates from {self.ca_file}: {problem}", code=ExitCode.USAGE) from None

    def _token(self) -> str:
        path = self.token_file or default_token_file()
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise Failure(f"cannot read the token from {path}: {problem}", code=ExitCode.USAGE) from None


def _unreachable(place: str, reason: str) -> Failure:
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        why = reason.rpartition("certificate verify failed: ")[2].partition(" (_ssl.c")[0]
        return Failure(f"{place} is not believed: {why}", code=ExitCode.UNREACHABLE, hint=NAME_AUTHORITY)
    return Failure(f"no daemon answers at {place}: {reason}", code=ExitCode.UNREACHABLE, hint=START_IT)


class Api:
    """One conversation with a daemon."""

    def __init__(self, target: Target) -> None:
        self._place = target.place
        try:
            self._client = target.open()
        except ValueError as problem:
            raise Failure(f"{self._place}: {problem}", code=ExitCode.USAGE) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Json:
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Json | None = None, *, headers: Mapping[str, str] | None = None) -> Json:
        return self._ask("POST", path, body=body, headers=headers)

    def tagged(self, path: str) -> tuple[Json, str]:
        """With the ETag of what there is now, for `If-Match`."""
        answer = self._told("GET", path)
        return self._read(answer), answer.tag or "*"

    def put(
        self,
        path: str,
        body: Json | None = None,
        query: Mapping[str, str | int] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return self._ask("PUT", path, query=query, body=body, headers=headers)

    def patch(
        self, path: str, body: Json, query: Mapping[str, str | int], *, headers: Mapping[str, str] | None = None
    ) -> Json:
        return self._ask("PATCH", path, query=query, body=body, headers=headers)

    def delete(self, path: str, *, headers: Mapping[str, str] | None = None) -> Json:
        return self._ask("DELETE", path, headers=headers)

    def fetch(self, path: str) -> bytes:
        """A file."""
        with self._reached():
            answer = self._client.request("GET", f"/api/v1/{path}")
        if not answer.is_success:
            raise _failure(answer)
        return answer.content

    def lines(self, path: str, query: Mapping[str, str | int] | None = None) -> Iterator[Json]:
        """A list as a stream, row by row, whatever its length."""
        headers = {"Accept": "application/x-ndjson"}
        with self._reached(), self._client.stream(f"/api/v1/{path}", query=query, headers=headers) as answer:
            if not answer.is_success:
                raise _failure(answer.whole())
            for line in answer.lines():
                if line:
                    row: Json = json.loads(line)
                    yield row

    def follow(self, after: int | None = None) -> Iterator[Json | None]:
        """Events as they come, from behind one; None where there is a pause. It ends when the daemon does."""
        query = None if after is None else {"after": after}
        with self._reached(), self._client.stream("/api/v1/events", query=query, timeout=FOLLOW_S) as answer:
            if not answer.is_success:
                raise _failure(answer.whole())
            for line in answer.lines():
                if line.startswith("data:"):
                    event: Json = json.loads(line.removeprefix("data:"))
                    yield event
                elif line.startswith(":"):
                    yield None

    def await_event(self, fits: Callable[[Json], bool], wait_s: float, *, after: int = 0) -> Json | None:
        """The first event that fits, of those that are kept and those that come, behind one; None if there is none in
        time."""
        end = time.monotonic() + wait_s
        query = {"after": after}
        try:
            with self._reached(), self._client.stream("/api/v1/events", query=query, timeout=wait_s) as answer:
                for line in answer.lines():
                    if line.startswith("data:") and fits(event := json.loads(line.removeprefix("data:"))):
                        found: Json = event
                        return found
                    if time.monotonic() >= end:
                        break
        except Failure as failure:
            if not isinstance(failure.__context__, TimeoutError):
                raise
        return None

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return self._read(self._told(method, path, query=query, body=body, headers=headers))

    def _told(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        with self._reached():
            answer = self._client.request(method, f"/api/v1/{path}", query=query, body=body, headers=headers)
        if not answer.is_success:
            raise _failure(answer)
        return answer

    def _read(self, answer: Answer) -> Json:
        try:
            read: Json = json.loads(answer.content)
        except ValueError:
            raise Failure(f"what answers at {self._place} is no mobike", code=ExitCode.UNREACHABLE) from None
        return read

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise Failure(
                f"the daemon at {self._place} did not answer in {TIMEOUT_S:g} s", code=ExitCode.UNREACHABLE
            ) from None
        except (OSError, HTTPException) as problem:
            raise _unreachable(self._place, _reason(problem)) from None


def _reason(problem: OSError | HTTPException) -> str:
    """The system's words for it."""
    said = problem.strerror if isinstance(problem, OSError) else None
    return said or str(problem) or type(problem).__name__


def _failure(answer: Answer) -> Failure:
    try:
        problem: Json = json.loads(answer.content)
        message, hint = str(problem["detail"]), problem.get("hint")
    except (ValueError, KeyError, TypeError):
        message, hint = f"the daemon answered {answer.status} {answer.reason}", None
    kind = Missing if answer.status == HTTPStatus.NOT_FOUND else Failure
    return kind(message, hint=None if hint is None else str(hint))
