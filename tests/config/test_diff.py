"""`config diff`: what an edit adds, removes and changes, and what each changed key means for SAs that live."""

import pytest

from mobike.config import parse
from mobike.config.diff import Difference, difference
from mobike.config.effects import EFFECTS, Effect
from mobike.config.models import SECTIONS, ConnectionTable, PoolTable
from mobike.config.schema import reachable
from mobike.config.show import MASK
from tests.config.judge import Judge

KEY = "correct horse battery staple"
OFFICE = f"""\
[connections.office]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
psk = "{KEY}"
virtual_ip = ["ipv4"]
"""


def _difference(old: str, new: str) -> Difference:
    return difference(parse(old, Judge(), environ={}).tables, parse(new, Judge(), environ={}).tables)


def test_every_key_of_every_table_has_an_effect() -> None:
    models = reachable([*SECTIONS.values(), ConnectionTable, PoolTable])
    assert {model.__name__: set(keys) for model, keys in EFFECTS.items()} == {
        model.__name__: set(model.model_fields) for model in models
    }


def test_a_configuration_does_not_differ_from_itself() -> None:
    assert _difference(OFFICE, OFFICE).empty
    # Nor from one that says the same in other words.
    assert _difference(OFFICE, "# a comment\n" + OFFICE + 'liveness = "30s"\nesp_lifetime = "60m"\n').empty


def test_connections_come_and_go_by_their_names() -> None:
    found = _difference(OFFICE, OFFICE.replace("office]", "bureau]"))
    assert (found.added, found.removed, found.changed) == (("bureau",), ("office",), {})


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ('liveness = "10s"', Effect.NOTHING),
        ('search.first = "300ms"', Effect.NOTHING),
        ('esp_lifetime = "30m"', Effect.NEXT),
        ('esp = ["aes256gcm16"]', Effect.CHILD),
        ('remote_ts = ["10.1.0.0/16"]', Effect.IKE),
        ('[[connections.office.child]]\nname = "voice"\nremote_ts = ["10.1.9.0/24"]', Effect.IKE),
        ("mobike = false", Effect.IKE),
    ],
)
def test_a_changed_key_says_what_it_means_for_sas_that_live(line: str, effect: Effect) -> None:
    found = _difference(OFFICE, OFFICE + line + "\n")
    (change,) = found.changed["office"]
    assert (change.effect, found.effect("office")) == (effect, effect)
    assert change.place is not None
    assert change.place.line == 8
    (back,) = _difference(OFFICE + line + "\n", OFFICE).changed["office"]
    assert (back.effect, back.old, back.place) == (effect, change.new, None)


def test_of_several_changes_the_greatest_counts() -> None:
    found = _difference(OFFICE, OFFICE.replace("alice@", "bob@") + 'liveness = "10s"\n')
    assert [change.key[-1] for change in found.changed["office"]] == ["local_id", "liveness"]
    assert found.effect("office") is Effect.IKE


def test_a_changed_secret_is_told_and_not_shown() -> None:
    found = _difference(OFFICE, OFFICE.replace(KEY, KEY[::-1]))
    (change,) = found.changed["office"]
    assert (change.old, change.new, change.effect) == (MASK, MASK, Effect.IKE)
    assert KEY not in repr(found)
    assert KEY[::-1] not in repr(found)


def test_the_rest_of_the_file_is_compared_too() -> None:
    old = '[pools.people]\nranges = ["10.97.0.0/16"]\n'
    found = _difference(old, '[daemon]\nshards = 2\nlog_level = "debug"\n[limits.prefix]\nv4 = 30\n')
    assert [(change.key, change.effect) for change in found.rest] == [
        (("daemon", "shards"), Effect.RESTART),
        (("daemon", "log_level"), Effect.NOTHING),
        (("limits", "prefix", "v4"), Effect.RESTART),
        (("pools", "people"), Effect.NEXT),
    ]
