"""Rows of lists that stand beside that of the IKE SAs, and what may be asked of them."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from mobike_api.lists import CHILD_FIELDS
from mobike_api.schemas import Answer, Left, Order, fields_pattern


class ChildRow(Answer):
    """One Child SA, as a row of a list."""

    id: str
    ike_sa: str
    """The IKE SA that it belongs to."""
    connection: str
    name: str
    """Which of the connection's Child SAs it is."""
    spi_in: str
    spi_out: str
    suite: str
    local_ts: tuple[str, ...]
    """Traffic on our side."""
    remote_ts: tuple[str, ...]
    """Traffic on the peer's side."""
    encap: bool
    """ESP goes in UDP (RFC 3948)."""


class ChildRowPart(ChildRow):
    """Of one Child SA what `fields` asked for."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=lambda schema: schema.update(required=[]))


class ChildPage(Answer):
    """A page of the list of Child SAs."""

    items: tuple[ChildRow, ...] | tuple[ChildRowPart, ...]
    """Whole, or what `fields` asked for."""
    after: str | None
    """Ask with this as `after` for the next page; null on the last."""


class ChildQuery(Order):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=1000)] | Left = None
    """About so many; 100 where nothing is said, and all in a stream of lines."""
    after: Annotated[str, Field(max_length=128)] | Left = None
    """From behind here: `after` of the page before."""
    connection: Annotated[str, Field(max_length=64)] | Left = None
    """Of this connection only."""
    name: Annotated[str, Field(max_length=64)] | Left = None
    """Only those of this name."""
    fields: Annotated[str, Field(pattern=fields_pattern(CHILD_FIELDS), max_length=256)] | Left = None
    """Only these members of each, with commas between: `id,ike_sa,suite`."""
