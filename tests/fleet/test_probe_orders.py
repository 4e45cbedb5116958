"""An operator asks the peer of one SA for a sign of life."""

from mobike.address import Generation, Nanos, SaId
from mobike.commands import Probe
from mobike.events import OperatorProbe, PathChecked
from tests.fleet.host import phone

ONE = SaId(1)


def test_the_peer_is_asked_once_and_its_answer_is_told_once() -> None:
    host = phone()
    session = host.fleet.view(ONE)
    assert session is not None
    (probe,) = host.hears(OperatorProbe(ONE)).commands
    assert isinstance(probe, Probe)
    assert (probe.sa, probe.path) == (ONE, None)
    answer = PathChecked(ONE, session.row.path, probe.generation, Nanos(12_345_678))
    (told,) = [note for note in host.hears(answer).notes if note.kind == "probe-answered"]
    assert (told.sa, told.connection, told.data["rtt_ms"]) == (ONE, "office", 12.346)
    assert told.text == f"The peer answers on {session.row.path} after 12.3 ms"
    assert not [note for note in host.hears(answer).notes if note.kind == "probe-answered"]


def test_a_test_that_nobody_ordered_is_not_told_of() -> None:
    host = phone()
    session = host.fleet.view(ONE)
    assert session is not None
    told = host.hears(PathChecked(ONE, session.row.path, Generation(1), Nanos(5_000_000))).notes
    assert not [note for note in told if note.kind == "probe-answered"]


def test_nobody_asks_for_an_sa_that_is_not_there() -> None:
    host = phone()
    assert host.fleet.objection_to_probe(SaId(9)) == "There is no such SA"
    assert not host.hears(OperatorProbe(SaId(9))).commands
