"""Silence that many SAs share: a few of them look for a way, all others follow where it was found.

    one SA tells of silence on a pair    it searches at once: it is the first scout
    more tell of the same                they wait; now and then one more becomes a scout, ever more rarely, in case
                                         the silence of those before was their own (a peer that forgot one SA)
    a scout's move is answered           the pair is left: all who use it, or ask for it, follow in paced portions
    nobody finds a way                   the core gives each SA up in its own time, or the path comes back

Ten thousand SAs behind one dead path then cause the tests of a handful, and one move each.
"""

from dataclasses import dataclass, field
from typing import Final

from mobike.address import Nanos, Pair, SaId
from mobike.events import PathSilent
from mobike.policy.chance import Chance

FIRST_INTERVAL: Final = 250_000_000
"""Nanoseconds until the second scout sets out; doubles with each."""

LONGEST_INTERVAL: Final = 8_000_000_000
"""And stays at this: some thirty scouts in the time after which a silent SA is given up."""

REMEMBERED: Final = 20_000_000_000
"""A silence that nobody has told of for so long is over, in nanoseconds; longer than any interval."""

MOST_SILENCES: Final = 4_096
"""Pairs whose silence is shared at a time; on others each SA searches by itself."""

JITTER_PERCENT: Final = 20


@dataclass(slots=True)
class _Silence:
    """One pair that does not answer."""

    next_scout: Nanos
    interval: int
    told_at: Nanos
    left: bool = False
    """A scout has found a way round it."""
    waiting: dict[SaId, PathSilent] = field(default_factory=dict)


class Scouts:
    """By silent pair: who waits for whom."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._silences: dict[Pair, _Silence] = {}

    def may_search(self, event: PathSilent, pair: Pair, now: Nanos) -> bool:
        """True: this SA, which uses this pair, searches now. False: it waits for what others find."""
        silence = self._silences.get(pair)
        if silence is None:
            self._forget(now)
            if len(self._silences) < MOST_SILENCES:
                self._silences[pair] = self._begin(now)
            return True
        silence.told_at = now
        if not silence.waiting and silence.next_scout <= now:
            self._send_next(silence, now)
            return True
        silence.waiting.setdefault(event.sa, event)
        return False

    def is_left(self, pair: Pair) -> bool:
        """Has a scout found a way round it?"""
        silence = self._silences.get(pair)
        return silence is not None and silence.left

    def found_a_way(self, pair: Pair) -> bool:
        """An SA has left this pair for one that answers. True if that is news to others."""
        silence = self._silences.get(pair)
        if silence is None or silence.left:
            return False
        silence.left = True
        silence.waiting.clear()
        return True

    def answers_again(self, pair: Pair) -> None:
        """The silence is over."""
        self._silences.pop(pair, None)

    def heard(self, sa: SaId, pair: Pair) -> bool:
        """Data came back to this SA over it. True: that ends the silence; false: others still wait, to whom it may have
        another reason. Where a pair works one way only, data comes in while every request stays unanswered."""
        silence = self._silences.get(pair)
        if silence is None:
            return True
        silence.waiting.pop(sa, None)
        if silence.waiting or silence.left:
            return False
        del self._silences[pair]
        return True

    def forget(self, sa: SaId, pair: Pair) -> None:
        """This SA is gone, or has moved: nobody needs to scout for it."""
        silence = self._silences.get(pair)
        if silence is not None:
            silence.waiting.pop(sa, None)

    def due(self, now: Nanos) -> list[PathSilent]:
        """Whose turn it is to set out as a further scout."""
        chosen = []
        for silence in self._silences.values():
            if silence.waiting and silence.next_scout <= now:
                chosen.append(silence.waiting.pop(next(iter(silence.waiting))))
                self._send_next(silence, now)
        return chosen

    def next_due(self) -> Nanos | None:
        return min((each.next_scout for each in self._silences.values() if each.waiting), default=None)

    def _begin(self, now: Nanos) -> _Silence:
        silence = _Silence(next_scout=now, interval=FIRST_INTERVAL, told_at=now)
        self._send_next(silence, now)
        return silence

    def _send_next(self, silence: _Silence, now: Nanos) -> None:
        silence.next_scout = Nanos(now + self._chance.around(silence.interval, JITTER_PERCENT))
        silence.interval = min(2 * silence.interval, LONGEST_INTERVAL)
        silence.told_at = now

    def _forget(self, now: Nanos) -> None:
        for pair in [pair for pair, each in self._silences.items() if now - each.told_at > REMEMBERED]:
            del self._silences[pair]
