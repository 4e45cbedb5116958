"""IKE SAs without a Child SA, in the file."""

import pytest

from mobike.commands import Profile
from mobike.config import ConfigError, parse
from tests.config.judge import Judge
from tests.config.office import OFFICE

GATEWAY = """\
[connections.office]
role = "responder"
local_id = "gw"
remote_id = "*"
psk = "correct horse battery staple"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
"""


def _profile(text: str) -> Profile:
    (connection,) = parse(text, Judge(), environ={}).settings.connections
    return connection.profile


def test_a_connection_says_whether_its_first_child_comes_with_ike_auth() -> None:
    shipped = _profile(OFFICE)
    assert (shipped.childless, shipped.start_child) == ("allow", True)
    office = _profile(OFFICE + 'childless = "prefer"\nstart_child = "manual"\n')
    assert (office.childless, office.start_child) == ("prefer", False)
    assert _profile(GATEWAY + 'childless = "require"\n').childless == "require"


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        (GATEWAY, 'childless = "prefer"', "childless: only an initiator prefers"),
        (GATEWAY, 'start_child = "manual"', "start_child: only an initiator opens it by itself"),
        (OFFICE, 'start_child = "manual"', 'start_child: goes with childless = "prefer" or "require"'),
    ],
)
def test_what_makes_no_sense_is_said(text: str, more: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _profile(text + more + "\n")
    assert f":8: connections.office.{problem}" in str(caught.value)
