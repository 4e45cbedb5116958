"""What the files say, checked table by table: what `config show` and `config diff` speak of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr

from mobike.config.files import Places
from mobike.config.models import ConnectionTable, PoolTable, RadiusTable, Table

__all__ = ["SECRET_KEYS", "Tables", "model_in"]


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table of a configuration, and where each key of it stands."""

    sections: Mapping[str, Table]
    pools: Mapping[str, PoolTable]
    connections: Mapping[str, ConnectionTable]
    places: Places


def model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type form
    """The table in a type: itself, or of its list, or of what may be absent."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := model_in(inner)) is not None), None)


def _secret_keys(model: type[Table]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if SecretStr in {field.annotation, *get_args(field.annotation)}:
            yield name


SECRET_KEYS: Final = frozenset({*_secret_keys(ConnectionTable), *_secret_keys(RadiusTable)})
"""Keys with a secret itself, not the place of one."""
