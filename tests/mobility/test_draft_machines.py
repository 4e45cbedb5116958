"""The two machines of the failure detection draft: every state with every event, and the page that shows them."""

from itertools import product
from pathlib import Path

import pytest

from mobike.mobility import address_machine, drawing, pair_machine
from mobike.mobility.address_machine import AddressEvent, AddressState, Tell
from mobike.mobility.pair_machine import PairEvent, PairState, Test

PAGE = Path(__file__).parents[2] / "docs" / "failure-detection.md"

UNKNOWN, AVAILABLE, OPERATIONAL = AddressState
NO, TESTING, WORKING = PairState

# State after, and what peers are told.
ADDRESS = {
    #                       UNKNOWN        AVAILABLE         OPERATIONAL
    AddressEvent.ASSIGNED: ("AVAILABLE",   "AVAILABLE",      "OPERATIONAL"),
    AddressEvent.USABLE:   ("UNKNOWN",     "OPERATIONAL +",  "OPERATIONAL"),
    AddressEvent.UNUSABLE: ("UNKNOWN",     "AVAILABLE",      "AVAILABLE -"),
    AddressEvent.GONE:     ("UNKNOWN",     "UNKNOWN",        "UNKNOWN -"),
}  # fmt: skip

# State after (N, T, P), the pair that is tested (same, next, wanted), and * where the timer is reset.
# Behind the slash: the same where the chosen pair is the last one.
PAIR = {
    #                         NO PRIMARY   TESTING PRIMARY      PRIMARY OPERATIONAL
    PairEvent.CONNECT:       ("T next *",   "T",                "P"),
    PairEvent.TEST_OK:       ("N",          "P *",              "P *"),
    PairEvent.TEST_FAIL:     ("N",          "T next * / N *",   "T next * / N *"),
    PairEvent.ULP_FEEDBACK:  ("N",          "P *",              "P *"),
    PairEvent.ICMP:          ("N",          "T",                "T same *"),
    PairEvent.TIMER:         ("T next *",   "T next * / N *",   "T same *"),
    PairEvent.ADD_PAIR:      ("T next *",   "T",                "P"),
    PairEvent.DELETE_PAIR:   ("N",          "T next * / N",     "T next * / N"),
    PairEvent.POLICY_CHANGE: ("T wanted *", "T wanted *",       "T wanted *"),
}  # fmt: skip
TESTED = {Test.NONE: "", Test.SAME: "same", Test.NEXT: "next", Test.WANTED: "wanted"}


@pytest.mark.req("A5.1-1")
@pytest.mark.parametrize(("state", "event"), list(product(AddressState, AddressEvent)))
def test_an_address_goes_where_the_table_says_and_peers_learn_of_each_change_once(
    state: AddressState, event: AddressEvent
) -> None:
    line = address_machine.TABLE[state, event]
    told = {Tell.NOBODY: "", Tell.NEW: " +", Tell.LOST: " -"}[line.tell]
    assert f"{line.after}{told}" == ADDRESS[event][list(AddressState).index(state)]
    # The list that peers have changes exactly when the operational set does.
    assert (line.tell is Tell.NOBODY) == ((state is OPERATIONAL) == (line.after is OPERATIONAL))


@pytest.mark.req("A5.2-1")
@pytest.mark.parametrize(("state", "event", "last"), list(product(PairState, PairEvent, (False, True))))
def test_the_pair_machine_does_what_is_written_here(state: PairState, event: PairEvent, last: bool) -> None:
    line = pair_machine.line(state, event, last=last)
    said = [str(line.after)[0], TESTED[line.test], "*" if line.reset_timer else ""]
    both = PAIR[event][list(PairState).index(state)].split(" / ")
    assert " ".join(filter(None, said)) == both[-1 if last else 0]


def test_the_tables_hold_every_state_with_every_event_and_nothing_else() -> None:
    assert set(address_machine.TABLE) == set(product(AddressState, AddressEvent))
    assert set(pair_machine.TABLE) == set(product(PairState, PairEvent))


@pytest.mark.req("A5.2-1", "A5.2-3")
def test_what_the_draft_says_in_words_holds_of_the_table() -> None:
    for last in (False, True):
        # Adding a pair does nothing unless an operational primary is lacking.
        assert pair_machine.line(WORKING, PairEvent.ADD_PAIR, last=last).after is WORKING
        assert pair_machine.line(NO, PairEvent.ADD_PAIR, last=last).test is Test.NEXT
        # A change of policy moves although the current pair works.
        assert pair_machine.line(WORKING, PairEvent.POLICY_CHANGE, last=last).test is Test.WANTED
        # ICMP is a hint to test, never a reason to leave.
        assert pair_machine.line(WORKING, PairEvent.ICMP, last=last).test is Test.SAME
    for (state, _), lines in pair_machine.TABLE.items():
        for line in lines:
            assert (line.after is WORKING) <= (line.test is Test.NONE), "what works needs no test"
            assert (line.test is not Test.NONE) <= line.reset_timer, "every test has its time"
            assert (line.after is TESTING and state is not TESTING) <= (line.test is not Test.NONE)


def test_every_state_is_reached_from_the_first_one() -> None:
    addresses = {(str(state), str(line.after)) for (state, _), line in address_machine.TABLE.items()}
    pairs = {(str(state), str(line.after)) for (state, _), lines in pair_machine.TABLE.items() for line in lines}
    for arrows, states in ((addresses, AddressState), (pairs, PairState)):
        seen = {str(next(iter(states)))}
        for _ in states:
            seen |= {after for before, after in arrows if before in seen}
        assert seen == set(map(str, states))


def test_the_page_that_shows_the_tables_is_current() -> None:
    assert PAGE.read_text() == drawing.page(), "run: python -m mobike.mobility.drawing > docs/failure-detection.md"
