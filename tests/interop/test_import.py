"""What `mobike import swanctl` makes of the examples of docs/examples, against a strongSwan that runs the twin."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mobike.cli.start import import_swanctl
from mobike.swanctl.writer import write
from tests.auth.pki import Authority
from tests.interop.rig import UP1, Charon, Mobike, Namespace, Rig, requires_rig, requires_strongswan
from tests.interop.test_examples import (
    BEHIND_GATEWAY,
    DEVICES,
    EAST,
    EXAMPLES,
    PLACES,
    PLUGINS,
    WEST,
    _all_reach_all,
    _wait_pings,
    adapted,
    behind,
    put_certificates,
)

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]


def _source(folder: Path, file: str) -> str:
    places = PLACES | DEVICES.get(file.split("/")[1], {})
    text = adapted(EXAMPLES / f"{file}.swanctl.conf", places)
    (folder / "swanctl.conf").write_text(text)
    return text


def _imported(rig: Rig, ns: Namespace, folder: Path, file: str) -> Mobike:
    """Our daemon with what the import makes of a file of strongSwan."""
    _source(folder, file)
    made = import_swanctl(folder)
    for name, text in made.files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    return Mobike(rig, ns, folder, write(made.document(), "imported"))


def test_an_imported_gateway_serves_a_strongswan_road_warrior(tmp_path: Path) -> None:
    with Rig() as rig, ExitStack() as stack:
        behind(rig, rig.gateway, BEHIND_GATEWAY)
        put_certificates(tmp_path, Authority.new(at=datetime.now(UTC)))
        stack.enter_context(_imported(rig, rig.gateway, tmp_path / "gateway", "road-warrior/gateway"))
        client = tmp_path / "client"
        resolve = {"charon": {"plugins": {"resolve": {"file": str(client / "resolv.conf")}}}}
        (client / "resolv.conf").touch()
        text = _source(client, "road-warrior/client")
        stack.enter_context(Charon(rig.client, client, text, plugins=PLUGINS, settings=resolve))
        _wait_pings(rig, rig.client, BEHIND_GATEWAY)
        rig.link_down(rig.client, UP1.device)
        _wait_pings(rig, rig.client, BEHIND_GATEWAY)


def test_an_imported_site_reaches_the_other_one_that_stays_with_strongswan(tmp_path: Path) -> None:
    with Rig(gateway_links=2) as rig, ExitStack() as stack:
        behind(rig, rig.client, *WEST)
        behind(rig, rig.gateway, *EAST)
        for end in ("west", "east"):
            (tmp_path / end).mkdir()
        east = _source(tmp_path / "east", "site-to-site/east")
        stack.enter_context(Charon(rig.gateway, tmp_path / "east", east, plugins=PLUGINS))
        stack.enter_context(_imported(rig, rig.client, tmp_path / "west", "site-to-site/west"))
        _all_reach_all(rig)
        rig.link_down(rig.client, UP1.device)
        _all_reach_all(rig)
