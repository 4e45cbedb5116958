"""Inner addresses and what goes with them: the rules about these keys, and what becomes of them."""

from collections.abc import Iterator
from typing import Final

from mobike.config.models import ConnectionTable
from mobike.handout import Handout

_GIVEN: Final = ("dns", "networks", "dns_domains", "dns_anchors")
_ASKED: Final = ("ask", "dns_anchors_for")


def of_inner(table: ConnectionTable) -> Iterator[tuple[str, str]]:
    """What contradicts, by key."""
    gives = table.role == "responder"
    said = table.model_fields_set
    for key in _ASKED if gives else _GIVEN:
        if key in said:
            message = "only an initiator asks; a responder gives" if gives else "only a responder gives this; see ask"
            yield key, message
    for key in _GIVEN if gives else _ASKED:
        if key in said and not (table.pool or table.radius if gives else table.virtual_ip):
            yield key, f"goes with inner addresses: {'pool' if gives else 'virtual_ip'} is missing"
    if gives and table.dns_domains and not table.dns:
        yield "dns_domains", "are for the resolvers in dns (RFC 8598): there is none"
    yield from _of_anchors(table)


def _of_anchors(table: ConnectionTable) -> Iterator[tuple[str, str]]:
    domains = {domain.lower().removesuffix(".") for domain in table.dns_domains}
    for anchor in table.dns_anchors:
        domain = anchor.split()[0].lower().removesuffix(".")
        if domain not in domains:
            yield "dns_anchors", f"{domain!r} is not among dns_domains"
    if table.dns_anchors_for and "domains" not in table.ask:
        yield "dns_anchors_for", 'a trust anchor comes with its domain: ask for "domains"'
    if "domains" in table.ask and "dns" not in table.ask:
        yield "ask", '"domains" are for resolvers (RFC 8598): ask for "dns" too'


def handout(table: ConnectionTable) -> Handout:
    return Handout(tuple(table.dns), tuple(table.networks), tuple(table.dns_domains), tuple(table.dns_anchors))
