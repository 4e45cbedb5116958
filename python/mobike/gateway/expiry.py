"""Says once of each certificate and list that its end is near, and once that it has come."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from mobike.config.terms import Standing, Term

LOOK_S: Final = 60.0
"""Between two looks: so soon a reload, or a clock that was set right, is seen."""


class Expiry:
    """Looks at what is in force."""

    def __init__(self, terms: Callable[[], tuple[Term, ...]], tell: Callable[[str, str], None]) -> None:
        """`tell` takes a kind and a line, for log and events."""
        self._terms = terms
        self._tell = tell
        self._told: dict[Term, Standing] = {}

    def look(self, now: datetime) -> None:
        """Tell what has become of each since the last time. Who is renewed is another one."""
        seen = {each: each.standing(now) for each in self._terms()}
        for each, standing in seen.items():
            if standing is not Standing.GOOD and standing is not self._told.get(each):
                self._tell(f"credential-{standing.value}", f"{each.said(now)}; {each.fix(now)}")
        self._told = seen

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            self.look(datetime.now(UTC))
            await asyncio.sleep(LOOK_S)
