"""What two ends may ask of each other at a time, shown to the rules message by message: what is right must pass as
surely as what is wrong must be seen."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, Path
from mobike.sim import scenario, story
from mobike.sim.host import Host, Past
from mobike.sim.rules.base import INFORMATIONAL, Lives, Message, Rule
from mobike.sim.rules.wire import SKIPPED, SameOctets, Window

from .mutants import SMALL

PATH = Path(Endpoint(ip_address("192.0.2.10"), 4500), Endpoint(ip_address("198.51.100.1"), 4500))
SPI = 0x26


def message(number: int, said: bytes = b"", *, response: bool = False) -> Message:
    octets = bytes((number & 0xFF, response)) + said
    return Message(SPI, SPI, INFORMATIONAL, response, number, 0, octets, len(octets))


class Ends:
    """Both hosts of the small scenario, and one rule that is shown what they do."""

    def __init__(self, rule: Callable[[Lives, Callable[[Host, str], None]], Rule], window: int, syncs: bool) -> None:
        said = f"window = {window}\nmessage_id_sync = {str(syncs).lower()}\npsk ="
        hosts = story.Story(scenario.read("small", SMALL.replace("psk =", said)), 1).stage.hosts
        self.phone, self.gateway = hosts["phone"], hosts["gateway"]
        self.complaints: list[str] = []
        self.rule = rule(Lives(), lambda host, what: self.complaints.append(f"{host.name}: {what}"))
        for host in hosts.values():
            self.rule.booted(host)

    def send(self, host: Host, *messages: Message) -> None:
        for each in messages:
            self.rule.ike_sent(host, PATH, each)

    def take(self, host: Host, *messages: Message) -> None:
        for each in messages:
            self.rule.ike_received(host, PATH, each)

    def kill(self, host: Host) -> None:
        """What it was written down with is what it knows now."""
        host.past = Past.STORED
        self.rule.booted(host)


def ask(numbers: Iterable[int]) -> Iterator[Message]:
    return (message(each) for each in numbers)


def answer(numbers: Iterable[int]) -> Iterator[Message]:
    return (message(each, response=True) for each in numbers)


ends = partial(Ends, Window)


def killed(window: int = 1, *, syncs: bool = False) -> Ends:
    """The gateway has asked 0 to 3, was written down, and killed."""
    both = ends(window, syncs)
    for number in range(4):
        both.send(both.gateway, message(number))
        both.take(both.gateway, message(number, response=True))
    both.rule.wrote_down(both.gateway, [])
    both.kill(both.gateway)
    return both


# --- ids follow each other ---


def test_requests_one_after_the_other_pass() -> None:
    both = ends(1, syncs=False)
    for number in range(40):
        both.send(both.phone, message(number), message(number))
        both.take(both.phone, message(number, response=True))
    assert both.complaints == []


def test_ids_of_one_window_may_leave_in_any_order() -> None:
    both = ends(4, syncs=False)
    both.send(both.phone, *ask([0, 2, 1, 3]))
    both.take(both.phone, *answer([2, 0, 3, 1]))
    both.send(both.phone, *ask([6, 7, 5, 4]))
    assert both.complaints == []


def test_an_id_that_is_left_out_for_good_is_seen_when_a_window_has_passed() -> None:
    both = ends(3, syncs=False)
    both.send(both.phone, message(0))
    both.take(both.phone, message(0, response=True))
    for number in (2, 3):
        both.send(both.phone, message(number))
        both.take(both.phone, message(number, response=True))
    assert both.complaints == []
    both.send(both.phone, message(4))
    assert both.complaints == [
        "phone: window: requests [1, 4] are unanswered: request 4 of exchange 37 in IKE SA 0000000000000026"
    ]


def test_where_the_window_is_one_an_id_that_is_left_out_is_seen_at_once() -> None:
    both = ends(1, syncs=False)
    both.send(both.phone, message(0))
    both.take(both.phone, message(0, response=True))
    both.send(both.phone, message(2))
    assert len(both.complaints) == 1 and "requests [1, 2] are unanswered" in both.complaints[0]


def test_a_repetition_that_was_held_until_its_answer_had_come_is_not_unanswered() -> None:
    both = ends(1, syncs=False)
    both.send(both.phone, message(0))
    both.take(both.phone, message(0, response=True))
    both.send(both.phone, message(0), message(1))
    assert both.complaints == []


# --- after a kill ---


def test_who_searches_may_be_asked_the_first_request_again_meanwhile() -> None:
    # Once the peer's update with the id 0 was taken for a question about ids: the search was thought to be over.
    both = killed()
    both.send(both.gateway, *ask(range(4, 25)))
    both.take(both.gateway, message(0, b"an update"))
    both.take(both.gateway, *answer([4]))
    both.send(both.gateway, *ask(range(5, 25)))
    assert both.complaints == []


def test_a_search_that_is_over_gives_no_leave_any_more() -> None:
    both = killed()
    both.send(both.gateway, *ask(range(4, 12)))
    both.take(both.gateway, *answer(range(4, 12)))
    both.send(both.gateway, *ask([12, 13]))
    assert len(both.complaints) == 1 and "requests [12, 13] are unanswered" in both.complaints[0]


def test_ids_that_both_ends_agree_upon_begin_much_later() -> None:
    both = killed(syncs=True)
    both.send(both.gateway, message(0, b"which comes next?"), message(4 + SKIPPED))
    both.take(both.gateway, message(4 + SKIPPED, response=True))
    both.send(both.gateway, message(5 + SKIPPED))
    assert both.complaints == []


@pytest.mark.parametrize("syncs", [False, True])
def test_ids_are_left_out_once_and_only_where_both_ends_agree(syncs: bool) -> None:
    both = killed(syncs=syncs)
    both.send(both.gateway, message(4 + SKIPPED))
    both.take(both.gateway, message(4 + SKIPPED, response=True))
    assert bool(both.complaints) is not syncs
    both.complaints.clear()
    both.send(both.gateway, message(5 + 2 * SKIPPED))
    assert both.complaints != []


def test_a_question_about_ids_takes_back_what_the_other_end_has_asked() -> None:
    both = killed(syncs=True)
    both.send(both.phone, message(7))
    both.send(both.gateway, message(0, b"which comes next?"))
    both.take(both.phone, message(0, b"which comes next?"))
    both.send(both.phone, message(8))
    assert both.complaints == []


@pytest.mark.parametrize("syncs", [False, True])
def test_another_request_under_the_id_0_takes_nothing_back(syncs: bool) -> None:
    both = killed(syncs=syncs)
    both.send(both.phone, message(7))
    both.take(both.phone, message(0, b"an update"))
    both.send(both.phone, message(8))
    assert len(both.complaints) == 1 and "requests [7, 8] are unanswered" in both.complaints[0]


@pytest.mark.parametrize("syncs", [False, True])
@pytest.mark.parametrize("response", [False, True])
def test_the_id_0_carries_other_octets_only_where_ids_are_agreed_upon(syncs: bool, response: bool) -> None:
    both = Ends(SameOctets, 1, syncs)
    both.send(both.gateway, message(0, b"an update", response=response))
    both.rule.wrote_down(both.gateway, [])
    both.kill(both.gateway)
    both.send(both.gateway, message(0, b"ids", response=response))
    assert bool(both.complaints) is not syncs
