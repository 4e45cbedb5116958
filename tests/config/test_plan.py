"""`config plan`: what an edit does to live IKE SAs, what waits for a restart, and what cannot be done while it runs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.config import ConfigError, Loaded, LogFormat, parse
from mobike.config.effects import Effect
from mobike.config.plan import Plan, Touch, plan
from tests.config.judge import Judge

CLIENT = """\
[connections.{name}]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
virtual_ip = ["ipv4"]
"""
GATEWAY = """\
[connections.{name}]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.1.0.0/16"]
"""


def loaded(text: str, base: Path = Path()) -> Loaded:
    return parse(text, Judge(), base=base, environ={})


def planned(old: str, new: str, **more: bool) -> Plan:
    return plan(loaded(old), loaded(new), **more)


OFFICE, PEOPLE = CLIENT.format(name="office"), GATEWAY.format(name="people") + 'pool = ["10.9.0.0/24"]\n'


def test_what_says_the_same_is_the_same_object_afterwards() -> None:
    done = planned(OFFICE + PEOPLE, "# moved\n" + PEOPLE + OFFICE)
    assert done.empty
    before = {each.name: each for each in done.old.settings.connections}
    assert all(each is before[each.name] for each in done.new.settings.connections)


@pytest.mark.parametrize(
    ("text", "line", "touch", "kept"),
    [
        (OFFICE, 'liveness = "5s"', Touch.NOTHING, Touch.NOTHING),
        (OFFICE, 'esp_lifetime = "20m"', Touch.NEXT, Touch.NEXT),
        (OFFICE, 'esp = ["aes256gcm16"]', Touch.REKEY, Touch.NEXT),
        (OFFICE, "mobike = false", Touch.REAUTHENTICATE, Touch.NEXT),
        (PEOPLE, "mobike = false", Touch.CLOSE, Touch.NEXT),
        (PEOPLE, 'dns = ["10.1.0.53"]', Touch.NEXT, Touch.NEXT),
    ],
)
def test_each_change_has_its_touch_and_may_be_kept_from_what_lives(
    text: str, line: str, touch: Touch, kept: Touch
) -> None:
    for keep, wanted in ((False, touch), (True, kept)):
        (step,) = planned(text, text + line + "\n", keep=keep).steps
        assert (step.what, step.touch) == ("changed", wanted)


def test_a_role_that_changes_ends_what_was_there() -> None:
    (step,) = planned(GATEWAY.format(name="x") + 'remote_ts = ["10.2.0.0/16"]\n', CLIENT.format(name="x")).steps
    assert step.touch is Touch.CLOSE


def test_connections_come_and_go() -> None:
    done = planned(OFFICE, PEOPLE)
    assert [(step.connection, step.what, step.touch) for step in done.steps] == [
        ("office", "removed", Touch.CLOSE),
        ("people", "added", Touch.NOTHING),
    ]


def test_what_needs_a_restart_is_said_and_is_not_in_force() -> None:
    head = '[daemon]\nike_port = {port}\nlog_level = "{level}"\nlog_format = "{form}"\n[limits.prefix]\nmax = {most}\n'
    old = head.format(port=500, level="info", form="console", most=300)
    new = head.format(port=501, level="debug", form="json", most=400)
    done = planned(old + OFFICE, new + OFFICE)
    assert [".".join(map(str, change.key)) for change in done.restart] == ["daemon.ike_port", "limits.prefix.max"]
    assert [".".join(map(str, change.key)) for change in done.rest] == ["daemon.log_level", "daemon.log_format"]
    daemon = done.new.settings.daemon
    assert (daemon.ike_port, daemon.log_level, daemon.log_format) == (500, "debug", LogFormat.JSON)
    assert done.new.settings.connections[0].policy.ports.local_ike == 500
    # It is still said the next time, and by a connection that comes the port in force is used.
    again = plan(done.new, loaded(new + OFFICE + CLIENT.format(name="other")))
    assert [change.key for change in again.restart] == [change.key for change in done.restart]
    assert again.rest == ()
    assert again.new.settings.connections[1].policy.ports.local_ike == 500


def test_rules_about_links_reach_connections_whose_tables_say_the_same() -> None:
    done = planned(OFFICE, '[[links.rule]]\nmatch = "wlan*"\nrank = 3\n' + OFFICE)
    assert done.steps == ()
    (was,), (becomes,) = done.old.settings.connections, done.new.settings.connections
    assert becomes.policy.links[0].rank == 3
    assert becomes.profile == was.profile, "the core has nothing to hear of"


def test_secrets_and_certificates_that_files_hold_are_looked_into(tmp_path: Path) -> None:
    key = tmp_path / "people.psk"
    text = OFFICE.replace('psk = "correct horse battery staple"', 'psk_file = "people.psk"')
    key.write_text("correct horse battery staple")
    old = loaded(text, tmp_path)
    assert plan(old, loaded(text, tmp_path)).empty
    key.write_text("another horse battery staple")
    (step,) = plan(old, loaded(text, tmp_path)).steps
    assert (step.connection, step.touch) == ("office", Touch.REAUTHENTICATE)
    assert step.changes[0].key == ("connections", "office", "psk_file")
    assert "horse" not in repr(step)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('pool = ["10.9.0.0/24"]', 'pool = ["10.9.0.0/23"]'),
        ('pool = ["10.9.0.0/24"]', 'pool = ["10.9.0.128/25"]'),
        ('pool = ["10.9.0.0/24"]', 'pool = ["10.8.0.0/24"]'),
    ],
)
def test_a_pool_may_get_another_range(old: str, new: str) -> None:
    text = GATEWAY.format(name="people")
    (step,) = planned(text + old + "\n", text + new + "\n").steps
    assert step.touch is Touch.NEXT


def test_addresses_do_not_go_from_one_pool_to_another_while_somebody_may_have_them() -> None:
    one, other = GATEWAY.format(name="one"), GATEWAY.format(name="other")
    with pytest.raises(ConfigError) as caught:
        planned(one + 'pool = ["10.9.0.0/24"]\n', other + 'pool = ["10.9.0.128/25"]\n')
    (problem,) = caught.value.problems
    assert problem.key == "connections.other.pool"
    assert "[connections.one]" in problem.message
    # In two steps it works.
    assert planned(one + 'pool = ["10.9.0.0/24"]\n', other + 'remote_ts = ["10.3.0.0/16"]\n').steps
    assert planned(other + 'remote_ts = ["10.3.0.0/16"]\n', other + 'pool = ["10.9.0.128/25"]\n').steps


def test_who_would_listen_for_streams_says_that_it_takes_a_restart() -> None:
    for old in (PEOPLE, ""):
        done = planned(old, PEOPLE + 'transport = "auto"\n', streams=False)
        assert [change.key for change in done.restart] == [("connections", "people", "transport")]
        assert planned(old, PEOPLE + 'transport = "auto"\n', streams=True).restart == ()


_LINES = st.sampled_from(
    ["", 'liveness = "5s"', "mobike = false", 'esp = ["aes256gcm16"]', 'ike_lifetime = "2h"', 'start = "manual"']
)
_CONFIGURATIONS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), _LINES, max_size=4)


def _text(connections: dict[str, str]) -> str:
    return "".join(CLIENT.format(name=name) + line + "\n" for name, line in connections.items())


@given(_CONFIGURATIONS, _CONFIGURATIONS)
def test_a_plan_is_whole_and_can_be_taken_back(old: dict[str, str], new: dict[str, str]) -> None:
    there = plan(loaded(_text(old)), loaded(_text(new)))
    assert {each.name for each in there.new.settings.connections} == set(new)
    touched = {step.connection for step in there.steps}
    assert touched == {name for name in {*old, *new} if old.get(name) != new.get(name)}
    before = {each.name: each for each in there.old.settings.connections}
    for each in there.new.settings.connections:
        assert (each is before.get(each.name)) == (each.name not in touched)
    back = plan(there.new, loaded(_text(old)))
    assert {step.connection for step in back.steps} == touched
    profiles = {each.name: each.profile for each in back.new.settings.connections}
    assert profiles == {name: each.profile for name, each in before.items()}


def test_keys_of_tickets_that_gateways_share_are_changed_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "tickets.key"

    def with_keys(*keys: str) -> Loaded:
        file.write_text("\n".join(key * 64 for key in keys))
        file.chmod(0o600)
        return loaded('[tickets]\nkey_file = "tickets.key"\n' + PEOPLE + 'tickets = "8h"\n', tmp_path)

    one, two = with_keys("a"), with_keys("b", "a")
    done = plan(one, two)
    assert [(change.key, change.effect, change.new) for change in done.rest] == [
        (("tickets", "key_file"), Effect.NEXT, "what it says now")
    ]
    assert done.new.settings.ticket_keys == two.settings.ticket_keys
    assert (done.steps, done.restart) == ((), ())
    assert plan(two, two).empty


@pytest.mark.parametrize(
    ("text", "line", "touch"),
    [
        (PEOPLE, 'tickets = "8h"', Touch.NEXT),
        (OFFICE, "resume = true", Touch.NEXT),
        (OFFICE + 'remote_ts = ["10.1.0.0/16"]\n', 'while_down = "block"', Touch.NOTHING),
    ],
)
def test_what_is_said_of_tickets_and_of_tunnels_that_are_down_disturbs_no_ike_sa(
    text: str, line: str, touch: Touch
) -> None:
    for done in (planned(text, text + line), planned(text + line, text)):
        assert [step.touch for step in done.steps] == [touch]


def test_tickets_rest_on_the_secret_in_force(tmp_path: Path) -> None:
    for text, line in ((PEOPLE, 'tickets = "8h"\n'), (OFFICE, "resume = true\n")):
        old, new = loaded(text + line), loaded((text + line).replace("correct horse", "another horse"))
        done = plan(old, new)
        was, becomes = (each.settings.connections[0].profile.tickets_rest_on for each in (done.old, done.new))
        assert was
        assert becomes
        assert was != becomes
