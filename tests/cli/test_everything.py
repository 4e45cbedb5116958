"""The command can do everything that the API can: each operation of the document is asked by one of these."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest

from tests.api.house import a_sa
from tests.cli.conftest import Run, Running

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
FOR_OTHERS: Final = {
    "livez": "for supervisors; `status` tells more",
    "readyz": "for load balancers; `status` and `doctor` tell more",
    "show_metrics": "for Prometheus; `list counters` has what is counted",
    "patch_connection": "`connection set` says the whole table",
    "show_credential": "`credential list` shows each of them",
}
"""What no command asks, and why."""

COMMANDS: Final = """
status
status 1
doctor
up office --wait 0
down office --wait 0
away office --wait 0
back lab --wait 0
explain 1
ladder 1
why
watch --events --after 0 --count 1
move 1 --local 198.51.100.20 --wait 0
move 1 --unpin
pin 1
redirect 1 --to gw2.example.net
probe 1 --wait 0
rekey 1 --wait 0
reauth 1 --wait 0
child up 1 office --wait 0
child down 1 office --wait 0
drain --to gw2.example.net
drain --lift
avoid wlan0
address 192.0.2.10 --gone
caller
capture 1 --into FOLDER/capture
list child-sas
list leases
list pools
list certificates
list policies
list paths
list addresses
list operations
list counters
list events
list audit
connection show annex
connection set annex FOLDER/annex.toml
connection delete annex
credential set annex FOLDER/secret --kind psk
credential list
credential delete annex
config plan
config apply --confirm-in 60s
config confirm
config revisions
config state
config rollback 1
config changes 2
order rekey --all -d
token create someone
token list
token revoke ID
log set 192.0.2.1
log list
log reset 192.0.2.1
operation show
operation follow ID
operation cancel ID
down 1 --wait 0
""".strip().splitlines()


def test_every_operation_of_the_api_is_asked_by_a_command(
    mobike: Run, daemon: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    send = HTTPConnection.request

    def note(connection: HTTPConnection, method: str, url: str, *more: Any) -> None:
        asked.append((method.lower(), url.partition("?")[0]))
        send(connection, method, url, *more)

    monkeypatch.setattr(HTTPConnection, "request", note)
    daemon.house.sas["2"] = replace(a_sa(2, "lab"), state="away")
    daemon.house.tell("moved", "from here to there", sa="1")
    (tmp_path / "secret").write_text("a horse nobody knows")
    (tmp_path / "annex.toml").write_text('role = "responder"\nlocal_id = "gw"\nremote_id = "*"\n')
    for line in COMMANDS:
        words = line.replace("FOLDER", str(tmp_path)).split()
        mobike("--socket", daemon.socket, *words)
    reached = {name for name, method, path in operations() if any(m == method and path.fullmatch(p) for m, p in asked)}
    unasked = {name for name, _, _ in operations()} - reached
    assert unasked == set(FOR_OTHERS)


def operations() -> Sequence[tuple[str, str, re.Pattern[str]]]:
    """Each with its method and its path."""
    return [
        (about["operationId"], method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)))
        for path, methods in DOCUMENT["paths"].items()
        for method, about in methods.items()
    ]
