"""What keys mean, beside what they are: `mobike.facade.keys` for the tables of `models`, and a page of all of them."""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from mobike.config import models
from mobike.config.effects import EFFECTS
from mobike.config.models import Table
from mobike.config.toml import write_value
from mobike.facade.keys import KEYS

TABLES: Final[Mapping[type[Table], str]] = {
    models.DaemonTable: "daemon",
    models.ApiTable: "api",
    models.WebhookTable: "api.webhooks.NAME",
    models.DataplaneTable: "dataplane",
    models.LinksTable: "links",
    models.ManualTable: "links.manual",
    models.LinkRuleTable: "links.rule",
    models.LimitsTable: "limits",
    models.PrefixTable: "limits.prefix",
    models.PuzzleTable: "limits.puzzle",
    models.RedirectTable: "redirect",
    models.TicketsTable: "tickets",
    models.StoreTable: "store",
    models.PoolTable: "pools.NAME",
    models.ConnectionTable: "connections.NAME",
    models.ChildTable: "connections.NAME.child",
    models.RadiusTable: "connections.NAME.radius",
    models.RetransmitTable: "connections.NAME.retransmit",
    models.ReconnectTable: "connections.NAME.reconnect",
    models.SearchTable: "connections.NAME.search",
    models.RetestTable: "connections.NAME.retest",
}
"""In the order of the documentation."""

_SEVERAL: Final = frozenset({models.ManualTable, models.LinkRuleTable, models.ChildTable, models.RadiusTable})
"""Tables of which there may be many in a list."""

_HEAD: Final = """\
# Keys

Every key of a configuration ([how it is written and applied](configuration.md), [an example](mobike.example.toml)): its
default, what it means, and what an edit of it means for SAs that live. `mobike config keys` makes this page.
"""


def about(model: type[BaseModel], name: str) -> str:
    """A sentence or two."""
    return next(KEYS[table][name] for known, table in TABLES.items() if known is model)


def heading_of(model: type[Table]) -> str:
    """As a file writes it."""
    table = TABLES[model]
    return f"[[{table}]]" if model in _SEVERAL else f"[{table}]"


def default_of(model: type[Table], name: str) -> str:
    """As a file would say it; empty: there is none."""
    value = model.model_construct().model_dump(mode="json").get(name)
    return "" if value is None or isinstance(value, dict) else write_value(value)


def effect_of(model: type[Table], name: str) -> str:
    """What an edit of it means for SAs that live."""
    effect = EFFECTS[model].get(name)
    return "as its keys" if effect is None else effect.words


def page() -> Iterator[str]:
    """Lines of docs/keys.md."""
    yield from _HEAD.splitlines()
    for model in TABLES:
        yield from ("", f"## {heading_of(model)}", "")
        yield from ("| key | default | what | an edit |", "|---|---|---|---|")
        for name in model.model_fields:
            default = default_of(model, name)
            shown = f"`{default}`" if default else ""
            yield f"| `{name}` | {shown} | {about(model, name)} | {effect_of(model, name)} |"
