"""The image that `make image` has just built: what is in it runs, and serves a peer outside of it."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.ends import CLIENT, DEADLINE_S, GATEWAY, KEY, End, end_daemon, start_daemon, until
from tests.ports import free_ports

NAME: Final = os.environ.get("MOBIKE_IMAGE", "")
BUILDAH: Final = shutil.which("buildah")
MOST_MB: Final = 300
"""Of which the base is some half. A compiler or the sources in it would be more."""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not NAME or BUILDAH is None, reason="`make image` builds an image, and runs this with it"),
]


def buildah(*arguments: object) -> str:
    ended = subprocess.run(["buildah", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@dataclass(frozen=True)
class Container:
    """One of that image, with what is mounted into it: a root of its own, and the network of this machine."""

    name: str
    folder: Path

    def command(self, *words: str) -> list[str]:
        # Not its own volume: of two mounts on one place buildah lets chance choose.
        mounts = [f"--volume={self.folder}/etc:/etc/mobike:ro", f"--volume={self.folder}/run:/run/mobike"]
        return ["buildah", "run", "--isolation", "chroot", *mounts, self.name, "--", *words]

    def run(self, *words: str) -> str:
        ended = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    @property
    def socket(self) -> Path:
        return self.folder / "run/api.sock"


@pytest.fixture(scope="module")
def image() -> Any:
    """What the image says of itself."""
    return json.loads(buildah("inspect", "--type", "image", NAME))


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    for name in ("etc", "run"):
        (tmp_path / name).mkdir()
    name = buildah("from", "--pull-never", NAME)
    try:
        yield Container(name, tmp_path)
    finally:
        buildah("rm", name)


def test_the_image_has_what_runs_and_nothing_that_builds(container: Container) -> None:
    assert container.run("mobike", "--version") == container.run("mobike", "version") != ""
    sizes = json.loads(buildah("images", "--json", NAME))
    assert float(sizes[0]["size"].removesuffix(" MB")) < MOST_MB
    gone = "command -v cargo gcc uv curl || ls /src || ls /usr/local/share/ca-certificates/* || ls /root/.cargo"
    assert container.run("sh", "-c", f"({gone}) 2>/dev/null || echo nothing") == "nothing\n"


def test_a_configuration_is_checked_in_it_and_its_flaws_are_named(container: Container) -> None:
    file = container.folder / "etc/mobike.toml"
    file.write_text("[daemon]\nike_prt = 500\n")
    ended = subprocess.run(
        container.command("mobike", "check", "--config", "/etc/mobike"), capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "/etc/mobike/mobike.toml" in ended.stderr and "ike_prt" in ended.stderr


@contextmanager
def started(container: Container, image: Any, text: str) -> Iterator[subprocess.Popen[bytes]]:
    """What the image starts by itself, with this configuration, once its API answers on the mounted socket."""
    config = container.folder / "etc/mobike.toml"
    config.write_text(text)
    config.chmod(0o600)
    of_image = image["Docker"]["config"]
    log = container.folder / "gateway.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            container.command(*of_image["Entrypoint"], *of_image["Cmd"]),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            return container.socket.exists()

        until(listens, "the socket of the API")
        yield process
    finally:
        # buildah takes what it has started with it.
        process.kill()
        process.wait()


def told_to_end(process: subprocess.Popen[bytes], image: Any) -> None:
    """As an engine ends it, where mobike is the first process: buildah passes no signals on."""
    (daemon,) = [pid for pid in descendants(process.pid) if name_of(pid) == "mobike"]
    os.kill(daemon, signal.Signals[image["Docker"]["config"]["StopSignal"]])


def descendants(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for each in map(int, child.read_text().split()):
            yield each
            yield from descendants(each)


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_the_gateway_in_it_serves_a_peer_outside_and_its_api_over_the_mounted_socket(
    container: Container, image: Any, tmp_path: Path
) -> None:
    names = ("gateway_ike", "gateway_natt", "client_ike", "client_natt", "gateway_api", "client_api")
    values: dict[str, object] = dict(zip(names, free_ports(6), strict=True))
    values |= {"key": KEY, "client_key": KEY, "folder": tmp_path, "start": "auto", "give_up": "2m45s", "more": ""}
    # Its folders are those of the image.
    text = GATEWAY.replace('state_dir = "{folder}/gateway"\n', "").format(**values, gateway_more="")
    with started(container, image, text) as process:
        gateway = End(container.folder / "run", container.folder / "etc", tmp_path / "gateway.log", process, "")
        until(lambda: gateway.get("health")["ready"], "the gateway is ready")
        # What an engine asks every ten seconds.
        wanted = image["Docker"]["config"]["Healthcheck"]["Test"]
        assert wanted[0] == "CMD"
        container.run(*wanted[1:])
        assert "good, 1 connection" in container.run("mobike", "check", "--config", "/etc/mobike")
        # What is to survive is on the volume of the image, for nobody else.
        assert container.run("stat", "--format=%a", "/var/lib/mobike/api.token") == "600\n"

        client = start_daemon(tmp_path / "client", CLIENT.format(**values), f"http://127.0.0.1:{values['client_api']}")
        try:
            ours = until(client.only_sa, "the client's IKE SA")
            theirs = until(gateway.only_sa, "the gateway's IKE SA")
            assert (ours["sa"]["spi_i"], ours["sa"]["virtual_ips"]) == (
                theirs["sa"]["spi_i"],
                theirs["sa"]["virtual_ips"],
            )
            assert client.get("health")["version"] == gateway.get("health")["version"]

            told_to_end(process, image)
            assert process.wait(DEADLINE_S) == 0
            assert not container.socket.exists()
            # Goodbyes have been said.
            until(lambda: client.only_sa() is None, "the client hears of the end")
        finally:
            end_daemon(client)
    log = [json.loads(line) for line in (tmp_path / "gateway.log").read_text().splitlines()]
    assert [line for line in log if line["level"] == "error"] == []


def test_the_demo_in_it_loses_no_ping_that_it_should_not(container: Container) -> None:
    assert " pings sent through the tunnel, " in container.run("mobike", "demo")
