"""[api.webhooks.NAME]: who is told of events."""

from pathlib import Path

import pytest

from mobike.config import ConfigError, parse
from mobike.config.diff import difference
from mobike.config.problems import dotted
from mobike.config.settings import WebhookSettings
from mobike.config.tables import Tables
from tests.config.judge import Judge

URL = 'url = "https://pager.example.net/mobike"'
SECRET = 'secret = "0123456789abcdef"'


def hooks(text: str, base: Path = Path("/"), **environ: str) -> tuple[WebhookSettings, ...]:
    return parse(f"[api.webhooks.pager]\n{text}\n", Judge(), base=base, environ=environ).settings.api.webhooks


def test_its_secret_comes_from_the_text_a_file_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "pager.secret").write_text("0123456789abcdef\n")
    (tmp_path / "pager.secret").chmod(0o600)
    wanted = WebhookSettings("pager", "https://pager.example.net/mobike", b"0123456789abcdef")
    assert hooks(f"{URL}\n{SECRET}") == (wanted,)
    assert hooks(f'{URL}\nsecret_file = "pager.secret"', tmp_path) == (wanted,)
    assert hooks(f'{URL}\nsecret_env = "PAGER"', PAGER="0123456789abcdef") == (wanted,)
    assert "0123456789" not in repr(wanted)


def test_kinds_and_loopback() -> None:
    (hook,) = hooks(f'url = "http://127.0.0.1:8080/"\n{SECRET}\nevents = ["sa-down", "move-*"]')
    assert (hook.url, hook.events) == ("http://127.0.0.1:8080/", ("sa-down", "move-*"))


def test_no_secret_is_shown_where_configurations_are_compared() -> None:
    def written(secret: str) -> Tables:
        return parse(f'[api.webhooks.pager]\n{URL}\nsecret = "{secret}"\n', Judge(), environ={}).tables

    found = difference(written("0123456789abcdef"), written("fedcba9876543210"))
    assert [dotted(change.key) for change in found.rest] == ["api.webhooks"]
    assert "0123456789" not in str(found.as_json())
    assert "fedcba98" not in str(found.as_json())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'url = "http://192.0.2.1/"\n{SECRET}', "api.webhooks.pager.url: what is told says who the peers are"),
        (f'url = "gopher://x/"\n{SECRET}', "api.webhooks.pager.url: is no URL like https://"),
        (f'url = "https://[x/"\n{SECRET}', "api.webhooks.pager.url: is no URL"),
        (f'url = "https://a:b@example.net/"\n{SECRET}', "api.webhooks.pager.url: holds a password"),
        (URL, "api.webhooks.pager: needs exactly one of secret"),
        (f'{URL}\n{SECRET}\nsecret_env = "X"', "api.webhooks.pager: needs exactly one of secret"),
        (f'{URL}\nsecret = "short"', "api.webhooks.pager.secret: has 5 octets; 16 at least"),
        (f'{URL}\nsecret_env = "X"', "api.webhooks.pager.secret_env: the environment has no variable 'X'"),
        (f"{URL}\n{SECRET}\nevents = []", "api.webhooks.pager.events"),
        (f'{URL}\n{SECRET}\nevents = ["SA DOWN"]', "api.webhooks.pager.events"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hooks(text)
    assert message in "\n".join(map(str, caught.value.problems))
