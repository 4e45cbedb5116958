"""An order that is sent twice under one key is carried out once (`Idempotency-Key`)."""

from collections import OrderedDict
from typing import Final

from mobike_api.problems import KEY_REUSED, ApiProblem

MOST_KEYS: Final = 1000
"""Those that are used longest ago are forgotten first."""


class Repeats:
    """What was answered to whom under which key."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    def answered(self, caller: str, key: str, order: str) -> str | None:
        """What the same order was answered with; None if it is new. A problem if the key was for another order."""
        known = self._known.get((caller, key))
        if known is None:
            return None
        if known[0] != order:
            hint = "take a new key for a new order"
            raise ApiProblem(KEY_REUSED, "this Idempotency-Key was used for another order", hint=hint)
        self._known.move_to_end((caller, key))
        return known[1]

    def remember(self, caller: str, key: str, order: str, answer: str) -> None:
        self._known[caller, key] = (order, answer)
        if len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
