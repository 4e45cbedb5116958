"""[api]: where it listens, and what goes together."""

from pathlib import Path

import pytest

from mobike.config import ConfigError, parse
from mobike.config.settings import TlsSettings
from tests.config.judge import Judge


def test_outside_of_loopback_it_listens_with_tls() -> None:
    text = """\
[api]
tcp = "192.0.2.1:8650"
tls_certificate = "api.pem"
tls_key = "/etc/api.key"
client_ca = "callers.pem"
clients = { "orchestrator.example.net" = "operate", "graphs@example.net" = "metrics" }
"""
    api = parse(text, Judge(), base=Path("/etc/mobike"), environ={}).settings.api
    assert api.tcp == ("192.0.2.1", 8650)
    assert api.tls == TlsSettings(
        certificate=Path("/etc/mobike/api.pem"),
        key=Path("/etc/api.key"),
        client_ca=Path("/etc/mobike/callers.pem"),
        clients=(("orchestrator.example.net", "operate"), ("graphs@example.net", "metrics")),
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('tcp = "192.0.2.1:1"', "api.tcp: 192.0.2.1 can be reached from outside: give tls_certificate and tls_key"),
        ('tls_key = "x"', "api.tls_key: goes with tls_certificate"),
        ('tls_certificate = "x"', "api.tls_certificate: goes with tls_key"),
        ('client_ca = "x"', "api.client_ca: asks callers for certificates, and only TLS can"),
        (
            'tls_certificate = "x"\ntls_key = "x"\nclients = { "a" = "read" }',
            "api.clients: names certificates, and nobody says who issues them",
        ),
        ('tcp = ""\ntls_certificate = "x"\ntls_key = "x"', "api.tls_certificate: is for TCP, and tcp is turned off"),
        ('clients = { "a" = "root" }', "api.clients"),
    ],
)
def test_what_does_not_go_together_is_named(keys: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[api]\n{keys}\n", Judge(), environ={})
    assert message in "\n".join(map(str, caught.value.problems))
