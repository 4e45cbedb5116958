"""The pairs towards one peer (draft-ietf-multi6-failure-detection-00 section 5.2): which pair to test next, and when.

    NO PRIMARY            no pair is chosen, or all that there are have failed
    TESTING PRIMARY       a pair is chosen, and not proven
    PRIMARY OPERATIONAL   the chosen pair is known to work

Figure 2 of the draft is lost in our copy; states, events, condition and actions are in its text. What we had to decide:

- "Send test" names no pair there. Here each line says which one: the SAME, the NEXT best one that was not tried, or the
  WANTED one. Which pair is next is policy's answer, never this table's.
- Test fail on the last pair leads to NO PRIMARY with the timer set; the timer then tests the best pair again. Otherwise
  a peer with a single pair would never be tried again without an event from outside.
- Timer means in PRIMARY OPERATIONAL that no progress was seen for a while (test the same pair), in TESTING PRIMARY that
  the test took longer than its share (as Test fail).
- ICMP is a hint, easily forged: it asks for a test of the same pair and disrupts nothing (section 3.3). In the other
  two states a test is under way or there is nothing to test.
- ULP feedback while testing proves the pair as well as the test would (section 3.3, first mechanism). Without a primary
  it speaks of a pair that is chosen no more.
- A Test OK without a primary is the answer to a test that was given up: the pair is remembered as working, and Add pair
  or Timer will choose it.
- Delete pair is about the chosen pair. Policy change goes to the wanted pair from everywhere, also from a working one.
- Connect while there is a primary already is nothing new.

The initiator of an IKE SA runs this machine behind its own: STABLE is PRIMARY OPERATIONAL, UPDATING is TESTING PRIMARY
(in MOBIKE the update is the test, RFC 4555 section 3.5), WAITING is NO PRIMARY.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class PairState(StrEnum):
    NO_PRIMARY = "NO PRIMARY"
    TESTING_PRIMARY = "TESTING PRIMARY"
    PRIMARY_OPERATIONAL = "PRIMARY OPERATIONAL"


class PairEvent(StrEnum):
    CONNECT = "Connect"
    TEST_OK = "Test OK"
    TEST_FAIL = "Test fail"
    ULP_FEEDBACK = "ULP feedback"
    ICMP = "ICMP"
    TIMER = "Timer"
    ADD_PAIR = "Add pair"
    DELETE_PAIR = "Delete pair"
    POLICY_CHANGE = "Policy change"


class Test(StrEnum):
    """The action Send test, with the pair that it is for."""

    __test__ = False  # no test of ours, says this to pytest

    NONE = ""
    SAME = "send test (same pair)"
    NEXT = "send test (next pair)"
    WANTED = "send test (wanted pair)"


class PairLine(NamedTuple):
    """One line of the table."""

    after: PairState
    test: Test = Test.NONE
    reset_timer: bool = False


_NO, _TESTING, _OPERATIONAL = PairState

_NEXT: Final = PairLine(_TESTING, Test.NEXT, reset_timer=True)
_SAME: Final = PairLine(_TESTING, Test.SAME, reset_timer=True)
_WANTED: Final = PairLine(_TESTING, Test.WANTED, reset_timer=True)
_PROVEN: Final = PairLine(_OPERATIONAL, reset_timer=True)
_EXHAUSTED: Final = PairLine(_NO, reset_timer=True)
"""All have failed: try again when the timer says so."""

TABLE: Final[Mapping[tuple[PairState, PairEvent], tuple[PairLine, PairLine]]] = {
    # (state, event):                     (others are known,       Last: it is the only one)
    (_NO, PairEvent.CONNECT):              (_NEXT,                  _NEXT),
    (_NO, PairEvent.TEST_OK):              (PairLine(_NO),          PairLine(_NO)),
    (_NO, PairEvent.TEST_FAIL):            (PairLine(_NO),          PairLine(_NO)),
    (_NO, PairEvent.ULP_FEEDBACK):         (PairLine(_NO),          PairLine(_NO)),
    (_NO, PairEvent.ICMP):                 (PairLine(_NO),          PairLine(_NO)),
    (_NO, PairEvent.TIMER):                (_NEXT,                  _NEXT),
    (_NO, PairEvent.ADD_PAIR):             (_NEXT,                  _NEXT),
    (_NO, PairEvent.DELETE_PAIR):          (PairLine(_NO),          PairLine(_NO)),
    (_NO, PairEvent.POLICY_CHANGE):        (_WANTED,                _WANTED),
    (_TESTING, PairEvent.CONNECT):         (PairLine(_TESTING),     PairLine(_TESTING)),
    (_TESTING, PairEvent.TEST_OK):         (_PROVEN,                _PROVEN),
    (_TESTING, PairEvent.TEST_FAIL):       (_NEXT,                  _EXHAUSTED),
    (_TESTING, PairEvent.ULP_FEEDBACK):    (_PROVEN,                _PROVEN),
    (_TESTING, PairEvent.ICMP):            (PairLine(_TESTING),     PairLine(_TESTING)),
    (_TESTING, PairEvent.TIMER):           (_NEXT,                  _EXHAUSTED),
    (_TESTING, PairEvent.ADD_PAIR):        (PairLine(_TESTING),     PairLine(_TESTING)),
    (_TESTING, PairEvent.DELETE_PAIR):     (_NEXT,                  PairLine(_NO)),
    (_TESTING, PairEvent.POLICY_CHANGE):   (_WANTED,                _WANTED),
    (_OPERATIONAL, PairEvent.CONNECT):     (PairLine(_OPERATIONAL), PairLine(_OPERATIONAL)),
    (_OPERATIONAL, PairEvent.TEST_OK):     (_PROVEN,                _PROVEN),
    (_OPERATIONAL, PairEvent.TEST_FAIL):   (_NEXT,                  _EXHAUSTED),
    (_OPERATIONAL, PairEvent.ULP_FEEDBACK): (_PROVEN,               _PROVEN),
    (_OPERATIONAL, PairEvent.ICMP):        (_SAME,                  _SAME),
    (_OPERATIONAL, PairEvent.TIMER):       (_SAME,                  _SAME),
    (_OPERATIONAL, PairEvent.ADD_PAIR):    (PairLine(_OPERATIONAL), PairLine(_OPERATIONAL)),
    (_OPERATIONAL, PairEvent.DELETE_PAIR): (_NEXT,                  PairLine(_NO)),
    (_OPERATIONAL, PairEvent.POLICY_CHANGE): (_WANTED,              _WANTED),
}  # fmt: skip


def line(state: PairState, event: PairEvent, *, last: bool) -> PairLine:
    """What this event leads to; `last`: the chosen pair is the only one left to try."""
    others, only = TABLE[state, event]
    return only if last else others
