"""The last exchanges of a running gateway's IKE SA: those it was asked, and its own."""

import time
from pathlib import Path
from typing import Any

from tests.cli.ends import until
from tests.gateway.rig import GATEWAY_IP, client, gateway


def test_an_operator_sees_what_the_ends_asked_each_other(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.22.1") as one:
        one.connect(GATEWAY_IP, (house.ike, house.natt))
        (sa,) = house.sas()
        began = house.get(f"ike-sas/{sa['id']}")["sa"]["since"]

        def told(topic: str) -> list[dict[str, Any]]:
            items = house.get(f"ike-sas/{sa['id']}/exchanges")["items"]
            return [each for each in items if each["topic"] == topic and each["answered"]]

        set_up = house.get(f"ike-sas/{sa['id']}/exchanges")["items"]
        told_of = [(each["asked_by"], each["exchange"], each["topic"], each["message_id"]) for each in set_up]
        assert told_of == [("peer", "IKE_SA_INIT", "init", 0), ("peer", "IKE_AUTH", "auth", 1)]
        assert set_up[0]["at"] <= set_up[1]["at"] <= began + 1
        house.api.post(f"/api/v1/ike-sas/{sa['id']}/probe").raise_for_status()
        until(lambda: told("probe"), "the test of the path is answered")
        house.api.post(f"/api/v1/ike-sas/{sa['id']}/rekey", json={}).raise_for_status()
        until(lambda: told("delete-ike-sa"), "new keys, and the old ones deleted")
        probe, rekey = *told("probe"), *told("rekey-ike-sa")
        assert (probe["asked_by"], probe["exchange"], probe["error"]) == ("us", "INFORMATIONAL", None)
        assert (rekey["exchange"], rekey["message_id"]) == ("CREATE_CHILD_SA", probe["message_id"] + 1)
        assert probe["took_ms"] > 0 and began <= probe["at"] <= rekey["at"] <= time.time()
        assert house.api.get(f"/api/v1/ike-sas/{'f' * 16}/exchanges").status_code == 404
