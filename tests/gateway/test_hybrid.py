"""Two daemons whose IKE SA and Child SA are hybrid, and stay so while their keys are replaced (RFC 9370)."""

from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from tests.cli.ends import End, two_ends, until

IKE = "aes256gcm16-prfsha384-x25519-ke1_mlkem768"
HYBRID = f"""\
ike = ["{IKE}"]
esp = ["aes256gcm16-x25519-ke1_mlkem768"]
ike_lifetime = "900ms"
esp_lifetime = "700ms"
"""


def counters(end: End) -> dict[str, int]:
    found: dict[str, int] = end.get("counters")["counters"]
    return found


def test_keys_of_both_kinds_are_replaced_again_and_again_and_stay_hybrid(tmp_path: Path) -> None:
    with two_ends(tmp_path, more=HYBRID, gateway_more=HYBRID) as ends:

        def pieces() -> int:
            return sum(counters(end)["ike_fragments_sent"] for end in (ends.client, ends.gateway))

        until(lambda: (sa := ends.client.only_sa()) and sa["children"], "a tunnel")
        at_first = pieces()
        before = ends.client.only_sa()["sa"]

        def replaced() -> bool:
            found = counters(ends.client)
            return found["ike_sas_rekeyed"] >= 3 and found["ike_children_rekeyed"] >= 3

        until(replaced, "three new sets of keys of each kind")
        for end in (ends.client, ends.gateway):
            sa = end.only_sa()
            assert sa["sa"]["suite"] == IKE
            assert sa["children"]
        after = ends.client.only_sa()["sa"]
        assert (after["id"], after["virtual_ips"]) == (before["id"], before["virtual_ips"])
        assert after["spi_i"] != before["spi_i"]
        # ML-KEM does not fit a datagram: each replacement took pieces of whoever asked for it.
        assert pieces() > at_first
