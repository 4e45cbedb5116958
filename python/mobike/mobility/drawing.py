"""The two machines of the failure detection draft, drawn from their tables. `python -m mobike.mobility.drawing`."""

import sys
from collections.abc import Iterator

from mobike.mobility import address_machine, initiator, pair_machine
from mobike.mobility.address_machine import AddressEvent, AddressState
from mobike.mobility.pair_machine import PairEvent, PairLine, PairState, Test

_HEAD = """# Failure detection

Drawn from the tables in `mobike.mobility.address_machine` and `mobike.mobility.pair_machine` by
`python -m mobike.mobility.drawing > docs/failure-detection.md`; a test checks that this page is current. The machines
are those of draft-ietf-multi6-failure-detection-00 sections 5.1 and 5.2, rebuilt from its lists of states and events;
where the draft left something open, the docstrings of both modules say what we decided."""


def page() -> str:
    """The whole page."""
    return "\n".join(
        (
            _HEAD,
            "",
            "## One local address",
            "",
            *_addresses(),
            "",
            "## The pairs towards one peer",
            "",
            *_pairs(),
            "",
            *_heard(),
            "",
        )
    )


def _addresses() -> Iterator[str]:
    yield from _row("event", *AddressState)
    yield from _row(*["---"] * (1 + len(AddressState)))
    for event in AddressEvent:
        lines = (address_machine.TABLE[state, event] for state in AddressState)
        yield from _row(event, *(_cell(each.after, each.tell) for each in lines))
    yield from _diagram(
        (state, line.after, event if not line.tell else f"{event} / {line.tell}")
        for (state, event), line in address_machine.TABLE.items()
        if state is not line.after
    )


def _pairs() -> Iterator[str]:
    yield "In brackets: where *Last* makes a difference, what happens if the chosen pair is the only one left."
    yield ""
    yield from _row("event", *PairState)
    yield from _row(*["---"] * (1 + len(PairState)))
    for event in PairEvent:
        both = (pair_machine.TABLE[state, event] for state in PairState)
        yield from _row(event, *(_either(others, only) for others, only in both))
    yield from _diagram(
        (state, line.after, f"{event}{last}" if line.test is Test.NONE else f"{event}{last} / {line.test}")
        for (state, event), (others, only) in pair_machine.TABLE.items()
        for line, last in ([(others, "")] if others == only else [(others, ", not last"), (only, ", last")])
        if state is not line.after or line.test is not Test.NONE
    )


def _heard() -> Iterator[str]:
    yield "What the daemon hears, as events of this machine; where there are several, policy's answer says which:"
    yield ""
    yield from _row("heard", "event")
    yield from _row("---", "---")
    for cause, events in initiator.HEARD_AS.items():
        yield from _row(cause.__name__, ", ".join(events) or "none")


def _either(others: PairLine, only: PairLine) -> str:
    return _pair_cell(others) if others == only else f"{_pair_cell(others)} ({_pair_cell(only)})"


def _pair_cell(line: PairLine) -> str:
    return _cell(line.after, line.test, "reset timer" if line.reset_timer else "")


def _cell(after: str, *actions: str) -> str:
    return "; ".join((after, *filter(None, actions)))


def _row(*cells: str) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _diagram(arrows: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    yield from ("", "```mermaid", "stateDiagram-v2")
    for before, after, label in arrows:
        yield f"    {_name(before)} --> {_name(after)}: {label}"
    yield "```"


def _name(state: str) -> str:
    return state.replace(" ", "_")


if __name__ == "__main__":
    sys.stdout.write(page())
