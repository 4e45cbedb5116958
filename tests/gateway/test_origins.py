"""Each line of the log names the exchange that it came of, as the core knows it: two real cores, and a daemon's log."""

import json
from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real ones")

from mobike.address import SaId
from mobike.commands import Rekey
from mobike.events import Event, IkeSaDown, IkeSaRekeyed, Notice
from mobike.fleet import Note
from mobike.gateway.origins import TOLD, Origins
from tests.cli.ends import until
from tests.gateway.rig import GATEWAY_IP, client, gateway

DOWN, OTHER = IkeSaDown(SaId(1), "the peer closed it"), IkeSaDown(SaId(2), "the peer closed it")


def note(kind: str, sa: int | None = 1) -> Note:
    return Note(kind, "it", (), None if sa is None else SaId(sa))


def test_a_note_has_the_exchange_of_its_own_event_and_only_in_that_turn() -> None:
    told: list[tuple[Event, bool, int]] = [(DOWN, False, 7), (OTHER, True, 33)]
    origins = Origins(lambda: told)
    origins.turn()
    assert [origins.of_note(note("sa-down", sa)) for sa in (2, 1)] == ["us:33", "peer:7"]
    assert origins.of_note(note("sa-down")) is None, "it was one event"
    assert origins.of_note(note("moving")) is None, "we decided that"
    assert origins.of_event(DOWN) == "peer:7"
    told.clear()
    origins.turn()
    assert origins.of_note(note("sa-down")) is None
    assert origins.of_event(DOWN) is None


def test_several_of_one_kind_are_told_in_their_order() -> None:
    first, second = Notice("no-proposal", "a", None, None), Notice("no-proposal", "b", None, None)
    origins = Origins(lambda: [(first, False, 0), (second, False, 3)])
    origins.turn()
    assert [origins.of_note(note("notice-no-proposal", None)) for _ in range(3)] == ["peer:0", "peer:3", None]


def test_nobody_is_asked_where_nothing_is_told() -> None:
    def never() -> list[tuple[object, bool, int]]:
        raise AssertionError

    Origins(never).turn()
    assert TOLD


def test_the_log_of_a_gateway_names_sa_and_exchange_as_the_list_of_exchanges_does(tmp_path: Path) -> None:
    with gateway(tmp_path) as house, client("127.0.26.7") as one:
        up = one.connect(GATEWAY_IP, (house.ike, house.natt))
        one.core.submit([Rekey(up.sa)])
        one.wait_for(IkeSaRekeyed)
        (sa,) = house.sas()

        def line(kind: str) -> dict[str, object] | None:
            told = [json.loads(text) for text in house.end.log.read_text().splitlines() if text.startswith("{")]
            return next((each for each in told if each["event"] == kind), None)

        until(lambda: line("sa-rekeyed") is not None, "the rekey is in the log")
        came, rekeyed = line("sa-up"), line("sa-rekeyed")
        assert came is not None
        assert rekeyed is not None
        assert (came["sa"], came["exchange"]) == (sa["id"], "peer:1"), "IKE_AUTH"
        (rung,) = (
            each for each in house.get(f"ike-sas/{sa['id']}/exchanges")["items"] if each["topic"] == "rekey-ike-sa"
        )
        assert rekeyed["exchange"] == f"{rung['asked_by']}:{rung['message_id']}"
