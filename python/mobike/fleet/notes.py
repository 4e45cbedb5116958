"""What the fleet tells people: one note for one thing that happened, as a full sentence and as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mobike.address import SaId

Datum: TypeAlias = str | int | float | bool | None

NO_DATA: Final[Mapping[str, Datum]] = {}


@dataclass(frozen=True, slots=True)
class Note:
    """One fact for logs, the API's event stream and metrics."""

    kind: str
    text: str
    """A sentence for a person. It ends without a full stop."""
    sa: SaId | None = None
    connection: str | None = None
    data: Mapping[str, Datum] = field(default_factory=lambda: NO_DATA)
