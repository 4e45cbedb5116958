"""What the fleet tells people: one note for one thing that happened, as a full sentence and as data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from mobike.address import SaId

Datum: TypeAlias = str | int | float | bool | None

NO_DATA: Final[Mapping[str, Datum]] = MappingProxyType({})


class Note(NamedTuple):
    """One fact for logs, the API's event stream and metrics.

    Its sentence is put together when somebody reads it: a gateway at work writes very many notes that nobody does.
    (A tuple, and no dataclass, because two of them stand on the way of each SA that comes up.)
    """

    kind: str
    sentence: str
    """A sentence for a person, without a full stop; `{}` where the subjects stand."""
    subjects: tuple[object, ...] = ()
    sa: SaId | None = None
    connection: str | None = None
    data: Mapping[str, Datum] = NO_DATA

    @property
    def text(self) -> str:
        return self.sentence.format(*self.subjects) if self.subjects else self.sentence
