"""What the fleet tells people: one note for one thing that happened, as a full sentence and as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mobike.address import SaId

Datum: TypeAlias = str | int | float | bool | None

NO_DATA: Final[Mapping[str, Datum]] = {}


@dataclass(frozen=True, slots=True)
class Note:
    """One fact for logs, the API's event stream and metrics.

    Its sentence is put together when somebody reads it: a gateway at work writes very many notes that nobody does.
    """

    kind: str
    sentence: str
    """A sentence for a person, without a full stop; `{}` where the subjects stand."""
    subjects: tuple[object, ...] = ()
    sa: SaId | None = None
    connection: str | None = None
    data: Mapping[str, Datum] = field(default_factory=lambda: NO_DATA)

    @property
    def text(self) -> str:
        return self.sentence.format(*self.subjects) if self.subjects else self.sentence
