"""`mobike ... | head`: who reads no further ends the command quietly. Real pipes, and a process for each command."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.api.house import a_sa
from tests.cli.conftest import Running

MOBIKE = (sys.executable, "-m", "mobike.cli")
AS_BY_SIGPIPE = 128 + signal.SIGPIPE
"""What a shell says of a program that ended so, and what `set -o pipefail` knows."""
DEADLINE_S = 60
BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}
"""Without buffers Python takes a write for done that was cut short: as quiet, but 0."""


@contextmanager
def unread_pipe() -> Iterator[int]:
    """A pipe whose reader has gone before the first octet."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "command",
    [
        "list ike-sas",
        "list ike-sas -o json",
        "list events -o ndjson",
        "doctor",
        "watch --after 0",
        "config schema",
        "version",
        "--help",
    ],
)
def test_a_command_whose_reader_has_gone_ends_without_a_word(many: Running, command: str) -> None:
    many.house.tell("sa-up", "IKE SA is up", sa="1")
    with unread_pipe() as nobody:
        ended = subprocess.run(
            [*MOBIKE, "--socket", many.socket, *command.split()],
            stdin=subprocess.DEVNULL,
            stdout=nobody,
            stderr=subprocess.PIPE,
            env=BUFFERED,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
    assert (ended.returncode, ended.stderr) == (AS_BY_SIGPIPE, "")


@pytest.mark.parametrize("format_", ["table", "json", "ndjson", "yaml"])
def test_head_takes_one_line_of_more_than_a_pipe_holds(daemon: Running, format_: str) -> None:
    daemon.house.sas = {f"{number:x}": a_sa(number) for number in range(1, 2001)}
    mobike = " ".join([*MOBIKE, "--socket", str(daemon.socket), "list", "ike-sas", "-n", "0", "-o", format_])
    ended = subprocess.run(
        ["bash", "-c", f"{mobike} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        env=BUFFERED,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    line, code = ended.stdout.splitlines()
    assert (bool(line), int(code), ended.stderr) == (True, AS_BY_SIGPIPE, "")


@pytest.mark.parametrize("options", [["--json"], ["--after", "0"]])
def test_a_watch_that_nobody_reads_ends_before_the_next_event(daemon: Running, options: list[str]) -> None:
    if options == ["--after", "0"]:
        daemon.house.tell("sa-up", "IKE SA is up", sa="1")
    watch = subprocess.Popen(
        [*MOBIKE, "--socket", daemon.socket, "watch", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BUFFERED,
    )
    assert watch.stdout is not None and watch.stderr is not None
    try:
        if options == ["--after", "0"]:
            assert watch.stdout.readline()
        watch.stdout.close()
        # There is no event to write, and the first heartbeat is 15 s away.
        assert watch.wait(10) == AS_BY_SIGPIPE
        assert watch.stderr.read() == b""
    finally:
        watch.kill()
        watch.wait()
        watch.stderr.close()


def test_a_watch_that_has_told_all_that_was_wanted_is_done(daemon: Running) -> None:
    daemon.house.tell("sa-up", "IKE SA is up", sa="1")
    mobike = " ".join([*MOBIKE, "--socket", str(daemon.socket), "watch", "--after", "0", "--count", "1"])
    for _ in range(3):
        ended = subprocess.run(
            ["bash", "-c", f"{mobike} | head -1; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            env=BUFFERED,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert (ended.returncode, ended.stderr) == (0, "")


def test_what_was_refused_stays_refused_when_nobody_reads(daemon: Running) -> None:
    with unread_pipe() as nobody:
        ended = subprocess.run(
            [*MOBIKE, "--socket", daemon.socket, "status", "no-such"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            env=BUFFERED,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("mobike: ")
