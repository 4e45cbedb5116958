"""What a Child SA carried is told when it goes, also where somebody outside of the core counted it."""

from mobike.address import ChildId, SaId
from mobike.dataplane.last_words import MOST_REMEMBERED, LastWords
from mobike.dataplane.operations import RemoveChild
from mobike.events import ChildDown, IkeSaDown

SA = SaId(1)
COUNTED = {"packets_in": 1, "packets_out": 2, "bytes_in": 30, "bytes_out": 40}


def down(child: int) -> ChildDown:
    return ChildDown(SA, ChildId(child), "closed")


def test_a_child_sa_that_goes_says_what_it_carried_and_others_stay_as_they_are() -> None:
    words = LastWords({ChildId(7): COUNTED}.get)
    words.note([RemoveChild(SA, ChildId(7)), RemoveChild(SA, ChildId(8))])
    other = IkeSaDown(SA, "closed")
    told = list(words.put_in([down(7), down(8), other]))
    assert told == [ChildDown(SA, ChildId(7), "closed", 1, 2, 30, 40), down(8), other]
    assert list(words.put_in([down(7)])) == [down(7)], "said once"


def test_what_is_never_asked_for_does_not_pile_up() -> None:
    asked: list[ChildId] = []

    def carried(child: ChildId) -> dict[str, int]:
        asked.append(child)
        return COUNTED

    words = LastWords(carried)
    for child in range(MOST_REMEMBERED + 10):
        words.note([RemoveChild(SA, ChildId(child))])
    assert len(asked) == MOST_REMEMBERED + 10
    told = list(words.put_in(down(child) for child in range(MOST_REMEMBERED + 10)))
    assert sum(each.packets_in for each in told if isinstance(each, ChildDown)) == MOST_REMEMBERED
