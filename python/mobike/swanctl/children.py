"""The Child SAs of a connection: the first is said in the connection itself, each further one in its `child`."""

from typing import Final

from mobike.config.fields import read_selector
from mobike.config.models import ConnectionTable
from mobike.config.octets import format_octets
from mobike.swanctl.context import Context, Table, proposals, span
from mobike.swanctl.findings import Taker
from mobike.swanctl.keys import CHILD
from mobike.swanctl.words import time, words

_TIMES: Final = {"rekey_time": "esp_lifetime", "life_time": "esp_lifetime_hard"}
_OCTETS: Final = {"rekey_bytes": "esp_lifetime_bytes", "life_bytes": "esp_lifetime_bytes_hard"}
_PACKETS: Final = {"rekey_packets": "esp_lifetime_packets", "life_packets": "esp_lifetime_packets_hard"}
DEFAULT_ESP: Final[list[str]] = ConnectionTable.model_fields["esp"].get_default()
_DRAWN: Final = ("rand_time", "rand_bytes", "rand_packets")
_MARKS: Final = ("mark_in", "mark_out", "if_id_in", "if_id_out", "interface")
_GUARDS: Final = ("ah_proposals", "label", "policies", "sha256_96", *_MARKS)
"""Keys that change which traffic is protected, and how: a connection that says other than usual is not imported."""


def map_children(name: str, table: Table, taker: Taker, context: Context, *, initiates: bool) -> None:
    """All of them."""
    children = taker.section.sections.get("children")
    if children is None or not children.sections:
        raise taker.refuse("children", "there are none")
    Taker(children, f"{taker.path}.children", taker.findings).finish({})
    first: Table | None = None
    further: list[Table] = []
    for theirs, section in children.sections.items():
        child = Taker(section, f"{taker.path}.children.{theirs}", taker.findings)
        if first is None:
            first = _child(child, table, context, initiates=initiates)
            if theirs != name:
                child.mapped("", f"connections.{name}", "the first Child SA is called as its connection")
            continue
        inner = _child(child, table, context, initiates=initiates)
        further.append(_further(theirs, inner, first, child))
    assert first is not None  # noqa: S101 - there is a child, or we were not here
    table |= first
    if further:
        table["child"] = further


def _child(child: Taker, table: Table, context: Context, *, initiates: bool) -> Table:
    found: Table = {}
    for key in _GUARDS:
        neutral, reason = CHILD[key]
        if child.peek(key).lower() not in neutral:
            raise child.refuse(key, reason)
    proposals(child, "esp_proposals", found, "esp", context.checks.check_esp_proposal, ike=False)
    inner = bool(table.get("virtual_ip") or table.get("pool_from"))
    apart = _is_transport(child, found, inner=inner)
    _selectors(child, "local_ts", found, "the inner address" if inner and initiates else apart)
    _selectors(child, "remote_ts", found, "the inner address, or what the gateway narrows it to" if inner else apart)
    _lifetimes(child, found)
    _actions(child, found, initiates=initiates)
    child.finish(CHILD)
    return found


def _is_transport(child: Taker, found: Table, *, inner: bool) -> str:
    """Where its mode is transport mode: what its selectors are if they are left out."""
    said = child.peek("mode").lower()
    if said in CHILD["mode"][0]:
        return ""
    if said != "transport":
        raise child.refuse("mode", CHILD["mode"][1])
    if inner:
        raise child.refuse("mode", "is transport, and there are no inner addresses between two hosts")
    found["mode"] = said
    child.changed("mode", "mode", 'the kernel carries it: [dataplane] kind = "kernel", for all connections')
    return "the host itself"


def _further(name: str, inner: Table, first: Table, taker: Taker) -> Table:
    """What a further one may say of its own; the rest is that of the first."""
    own: Table = {key: inner[key] for key in ("local_ts", "remote_ts", "esp", "start") if key in inner}
    if "mode" in inner or "mode" in first:
        own["mode"] = inner.get("mode", "tunnel")
    for key in ("local_ts", "remote_ts"):
        if key not in own and key in first and own.get("mode") != "transport":
            raise taker.refuse(key, "is the inner address for this Child SA, and here it would be that of the first")
    if "esp" not in own and "esp" in first:
        own["esp"] = list(DEFAULT_ESP)
    for theirs, ours in {**_TIMES, **_OCTETS, **_PACKETS}.items():
        if inner.get(ours) != first.get(ours):
            _say_instead(taker, theirs, ours, "lifetimes are those of the first Child SA")
    if own.get("start") == "traffic":
        own["start"] = "auto"
        _say_instead(taker, "start_action", "start", "it comes with the IKE SA, which its traffic brings up, too")
    return {"name": name, **own}


def _say_instead(taker: Taker, theirs: str, ours: str, why: str) -> None:
    """What was found about a key does not hold any more."""
    full = f"{taker.path}.{theirs}"
    taker.findings[:] = [each for each in taker.findings if each.key != full]
    taker.changed(theirs, ours, why)


def _selectors(child: Taker, key: str, found: Table, left_out: str) -> None:
    """`left_out`: what it is then, if it may be."""
    said = words(child.peek(key))
    if not said or said == ["dynamic"]:
        if not left_out:
            raise child.refuse(key, "is dynamic, the outer address: here networks are said")
        child.mapped(key, key, f"left out: {left_out}")
        return
    try:
        found[key] = [read_selector(word) for word in said]
    except ValueError as problem:
        raise child.refuse(key, str(problem)) from None
    child.mapped(key, key)


def _lifetimes(child: Taker, found: Table) -> None:
    for key, ours in _TIMES.items():
        said = span(child, key)
        if said is not None:
            found[ours] = time(said)
            child.mapped(key, ours)
    for key, ours in {**_OCTETS, **_PACKETS}.items():
        text = child.peek(key)
        if not text:
            continue
        if not text.isdigit():
            raise child.refuse(key, f"{text!r} is no number")
        if key in _PACKETS:
            found[ours] = int(text)
            child.mapped(key, ours)
        else:
            _octets(child, key, ours, int(text), found)
    for key in _DRAWN:
        if child.peek(key):
            child.changed(key, "", "lifetimes are drawn up to a tenth off, always")


def _octets(child: Taker, key: str, ours: str, octets: int, found: Table) -> None:
    """Nine digits and a unit; what is finer is rounded down, so that no key carries more."""
    step = 1
    while octets // step >= 10**9:
        step *= 1000
    found[ours] = format_octets(octets // step * step)
    if octets % step:
        child.changed(key, ours, f"rounded down to {found[ours]}")
    else:
        child.mapped(key, ours)


def _actions(child: Taker, found: Table, *, initiates: bool) -> None:
    start = child.peek("start_action") or "none"
    if initiates:
        found["start"] = {"none": "manual", "trap": "traffic"}.get(start, "auto")
        if start in {"none", "start", "trap"}:
            child.mapped("start_action", "start")
        else:
            child.changed("start_action", "start", "it is set up now and kept up, whether or not there is traffic")
    elif start == "none":
        child.mapped("start_action", "role")
    else:
        child.changed("start_action", "role", "there is nobody to call: this end waits")
    dpd = child.peek("dpd_action") or "clear"
    as_here = dpd == "restart" or (dpd == "trap" and found.get("start") == "traffic")
    if as_here or (dpd == "clear") == (found.get("start") != "auto"):
        if child.peek("dpd_action"):
            child.mapped("dpd_action", "start" if initiates else "")
    elif child.peek("dpd_action"):
        child.changed("dpd_action", "start", 'with start = "auto" it is set up again, else not')
    close = child.peek("close_action")
    if close == "trap" and found.get("start") == "traffic":
        child.mapped("close_action", "start")
    elif close in {"start", "trap"}:
        child.changed("close_action", "start", 'with start = "auto" a Child SA that went is opened again, else not')
