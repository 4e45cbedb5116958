"""What is valid is taken, by a real daemon, and reads back as it was given: bodies made up by chance from what the keys
allow. (What is not valid is tried by tests/api/test_openapi and tests/gateway/test_editing.)
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("mobike._core", reason="needs the core: this is a real daemon")

from mobike.gateway.documents import merge_patch
from mobike.kinds import KINDS
from tests.config.test_held import GOOD
from tests.gateway.rig import Gateway, gateway
from tests.gateway.test_editing import order

SECRETS: Final = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=16, max_size=60
).filter(lambda text: text.strip() == text and not text.startswith(("0x", "0s"))) | st.binary(
    min_size=16, max_size=64
).map(lambda octets: f"0x{octets.hex()}")
V4: Final = st.integers(0, 255).map(lambda part: f"10.{part}.0.0/16")
V6: Final = st.integers(0, 0xFFFF).map("2001:db8:{:x}::/48".format)
NETWORKS: Final = st.lists(V4 | V6, min_size=1, max_size=4, unique=True)
OF_BOTH: Final = st.tuples(V4, V6).map(list)
KEYS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "liveness": st.integers(1, 600).map("{}s".format),
    "nat_keepalive": st.sampled_from(["5s", "20s", "1m"]),
    "settle": st.sampled_from(["0s", "250ms", "2s"]),
    "ike_lifetime": st.integers(10, 48).map("{}h".format),
    "reauth_lifetime": st.sampled_from(["0s", "12h"]),
    "esp": st.lists(
        st.sampled_from(["aes128gcm16", "aes256gcm16", "chacha20poly1305"]), min_size=1, max_size=3, unique=True
    ),
    "ike": st.lists(
        st.sampled_from(
            ["aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256", "chacha20poly1305-prfsha256-x25519"]
        ),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    "mobike": st.booleans(),
    "window": st.integers(1, 32),
    "unique": st.sampled_from(["as-peer-says", "replace", "keep", "never"]),
    "return_routability": st.sampled_from(["before", "after", "never"]),
    "message_id_sync": st.booleans(),
    "transport": st.sampled_from(["udp", "tcp", "auto"]),
    "families": st.sampled_from([["ipv4"], ["ipv6"], ["ipv4", "ipv6"]]),
    "switch": st.sampled_from(["proven", "at-once"]),
    "on_refusal": st.sampled_from(["try-next", "keep-old", "close"]),
    "childless": st.sampled_from(["never", "allow"]),
    "allow_remote": OF_BOTH,
    "allow_local": OF_BOTH,
    "extensions": st.lists(st.sampled_from(["path-probes", "away"]), unique=True),
    "link": st.lists(
        st.fixed_dictionaries({"match": st.sampled_from(["wl*", "wwan0"]), "rank": st.integers(0, 9)}), max_size=2
    ),
}
"""Keys that contradict no other one, and values of each."""
SOME_KEYS: Final = st.fixed_dictionaries({}, optional=KEYS)
TABLES: Final = st.builds(
    lambda base, more: base | more,
    st.fixed_dictionaries(
        {
            "role": st.just("responder"),
            "local_id": st.just("gw.annex.example.org"),
            "remote_id": st.sampled_from(["*@annex.example.org", "ann@annex.example.org"]),
            "psk": SECRETS,
            "local_ts": NETWORKS,
            "remote_ts": NETWORKS,
        }
    ),
    SOME_KEYS,
)
FEW: Final = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("taken")) as house:
        yield house


def shown(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "psk"}


@FEW
@given(TABLES, SOME_KEYS, st.sets(st.sampled_from(sorted(KEYS)), max_size=3))
def test_a_valid_connection_and_a_valid_patch_are_taken_and_read_back_as_given(
    house: Gateway, table: dict[str, Any], more: dict[str, Any], gone: set[str]
) -> None:
    made = order(house, "PUT", "connections/annex", table)
    read = order(house, "GET", "connections/annex")
    assert (read["table"], read["secrets"], read["stored"]) == (shown(table), ["psk"], True)
    assert order(house, "PUT", "connections/annex", table)["revision"] == made["revision"], "the same changes nothing"
    patch = more | dict.fromkeys(gone)
    order(house, "PATCH", "connections/annex", patch)
    after = order(house, "GET", "connections/annex")
    assert after["table"] == merge_patch(shown(table), patch)
    assert after["mark"] == read["mark"], "the secret has stayed"
    order(house, "DELETE", "connections/annex")


CREDENTIALS: Final = st.one_of(
    st.tuples(st.sampled_from(["psk", "password", "radius"]), SECRETS),
    st.tuples(st.just("ppk"), st.binary(min_size=32, max_size=64).map(lambda octets: f"0x{octets.hex()}")),
    st.tuples(
        st.just("users"),
        st.integers(1, 9).map(
            lambda many: "".join(f'"user{n}@example.net" = "secret-{n}-of-it"\n' for n in range(many))
        ),
    ),
    st.sampled_from(sorted(KINDS)).map(lambda kind: (kind, GOOD[kind])),
)


@FEW
@given(CREDENTIALS, SECRETS)
def test_a_valid_credential_is_taken_told_by_its_kind_and_never_read_back(
    house: Gateway, credential: tuple[str, str], other: str
) -> None:
    kind, content = credential
    made = order(house, "PUT", "credentials/annex", {"kind": kind, "content": content})
    assert made["credentials"] == [{"name": "annex", "what": "added"}]
    read = house.api.get("/api/v1/credentials/annex")
    told = read.json()
    assert (told["kind"], told["used_by"]) == (kind, [])
    assert told["fingerprints"]
    assert content not in read.text
    again = order(house, "PUT", "credentials/annex", {"kind": kind, "content": content})
    assert (again["revision"], again["credentials"]) == (made["revision"], [])
    order(house, "PUT", "credentials/annex", {"kind": "psk", "content": other})
    assert order(house, "GET", "credentials/annex")["kind"] == "psk"
    order(house, "DELETE", "credentials/annex")
