"""Tickets (RFC 5723): what the file says of them, and what it cannot say."""

from pathlib import Path

import pytest

from mobike.config import ConfigError, parse
from tests.config.judge import Judge
from tests.config.test_redirects import CLIENT, GATEWAY

HOUR = 3600 * 1_000_000_000


def test_without_a_word_there_are_no_tickets() -> None:
    settings = parse(CLIENT + GATEWAY, Judge()).settings
    client, gateway = settings.connections
    assert not client.profile.resume
    assert gateway.profile.ticket_lifetime == 0
    assert settings.ticket_keys == ()


def test_who_gives_tickets_and_who_uses_them() -> None:
    client, gateway = parse(CLIENT + "resume = true\n" + GATEWAY + 'tickets = "1h"\n', Judge()).settings.connections
    assert client.profile.resume
    assert gateway.profile.ticket_lifetime == HOUR


def test_keys_that_several_gateways_share(tmp_path: Path) -> None:
    file = tmp_path / "tickets.key"
    file.touch(mode=0o600)
    file.write_text("11" * 32 + "\n" + "22" * 32 + "\n")
    settings = parse(f'[tickets]\nkey_file = "tickets.key"\n{GATEWAY}', Judge(), base=tmp_path).settings
    assert settings.ticket_keys == (b"\x11" * 32, b"\x22" * 32)
    assert "11" * 16 not in repr(settings)


@pytest.mark.parametrize("text", ["", "11" * 31, "11" * 33, "no key", ("11" * 32 + "\n") * 5])
def test_what_is_no_key_is_told_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tickets.key"
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(ConfigError) as problem:
        parse(f'[tickets]\nkey_file = "tickets.key"\n{GATEWAY}', Judge(), base=tmp_path)
    assert "tickets.key_file" in str(problem.value)
    assert "1111" not in str(problem.value)


def test_a_key_that_others_can_read_or_nobody_wrote_is_none(tmp_path: Path) -> None:
    text = f'[tickets]\nkey_file = "tickets.key"\n{GATEWAY}'
    with pytest.raises(ConfigError):
        parse(text, Judge(), base=tmp_path)
    (tmp_path / "tickets.key").write_text("11" * 32)
    (tmp_path / "tickets.key").chmod(0o644)
    with pytest.raises(ConfigError) as problem:
        parse(text, Judge(), base=tmp_path)
    assert "chmod 600" in str(problem.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (CLIENT + 'tickets = "1h"\n', "connections.office.tickets"),
        (GATEWAY + "resume = true\n", "connections.road.resume"),
        (GATEWAY + 'tickets = "8d"\n', "connections.road.tickets"),
    ],
)
def test_what_contradicts_is_told_by_its_key(text: str, key: str) -> None:
    with pytest.raises(ConfigError) as problem:
        parse(text, Judge())
    assert key in str(problem.value)
