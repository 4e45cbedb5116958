"""One connection of swanctl.conf: the keys of its IKE SA. Its Child SAs are in `children`, its proofs in `proofs`."""

from ipaddress import ip_address, ip_network

from mobike.swanctl.children import map_children
from mobike.swanctl.context import Context, Table, proposals, span, switch
from mobike.swanctl.findings import Taker
from mobike.swanctl.keys import CONNECTION
from mobike.swanctl.proofs import map_proofs
from mobike.swanctl.words import time, words


def map_connection(name: str, taker: Taker, context: Context) -> Table:
    """Its table; Unmappable where something that guards it cannot be said here."""
    _version(taker)
    for key in ("if_id_in", "if_id_out"):
        neutral, reason = CONNECTION[key]
        if taker.peek(key).lower() not in neutral:
            raise taker.refuse(key, reason)
    initiates = _initiates(taker)
    table: Table = {"role": "initiator" if initiates else "responder"}
    _addresses(table, taker, initiates=initiates)
    map_proofs(name, table, taker, context, initiates=initiates)
    proposals(taker, "proposals", table, "ike", context.checks.check_ike_proposal, ike=True)
    _inner(table, taker, context, initiates=initiates)
    map_children(name, table, taker, context, initiates=initiates)
    if initiates:
        reason = "what it is for is thrown away while it is wanted and down; strongSwan sends it in the clear"
        taker.changed("children", "while_down", reason)
    _times(table, taker)
    _switches(table, taker, initiates=initiates)
    taker.finish(CONNECTION)
    return table


def _version(taker: Taker) -> None:
    match taker.peek("version"):
        case "2":
            taker.mapped("version", reason="there is IKEv2 only")
        case "1":
            raise taker.refuse("version", "IKEv1 is not spoken here")
        case _:
            taker.changed("version", "", "without version = 2 it took peers with IKEv1 too; here there is IKEv2 only")


def _initiates(taker: Taker) -> bool:
    """Who has nobody to call listens. Who has, calls if that is asked for, or if only a client says such things."""
    if not any(_is_address(word) for word in words(taker.peek("remote_addrs"))):
        return False
    children = taker.section.sections.get("children")
    starts = any(
        action not in {"", "none"}
        for child in (children.sections.values() if children else ())
        if (action := child.values["start_action"].text if "start_action" in child.values else "")
    )
    of_client = bool(taker.peek("vips")) or any(
        section.values["auth"].text.startswith("eap")
        for name, section in taker.section.sections.items()
        if name.startswith("local") and "auth" in section.values
    )
    return starts or of_client


def _is_address(word: str) -> bool:
    try:
        return not ip_address(word).is_unspecified
    except ValueError:
        return False


def _addresses(table: Table, taker: Taker, *, initiates: bool) -> None:
    remote = words(taker.peek("remote_addrs"))
    if initiates:
        table["remote"] = [word for word in remote if _is_address(word)]
        if len(table["remote"]) < len(remote):
            taker.changed("remote_addrs", "remote", "names are not looked up, and ranges are for responders: left out")
        elif len(remote) > 1:
            taker.changed("remote_addrs", "remote", "strongSwan calls the first; here all are tried, best first")
        else:
            taker.mapped("remote_addrs", "remote")
    else:
        reason = 'a peer may also move to these only; if this end shall call, say role = "initiator" and remote'
        _networks(table, taker, "remote_addrs", "allow_remote", reason)
    _networks(table, taker, "local_addrs", "allow_local", "it also limits where this end may move to")
    for key in ("local_port", "remote_port"):
        port = taker.peek(key)
        if port in {"", "500"}:
            if port:
                taker.mapped(key, reason="the default")
        elif key == "remote_port" and initiates and port.isdigit() and 1 <= int(port) <= 0xFFFF:
            table["remote_ike_port"] = int(port)
            taker.changed(key, "remote_ike_port", "what follows goes to remote_natt_port")
        else:
            taker.lost(key, "ports of ours are said once for all connections: [daemon] ike_port, natt_port")


def _networks(table: Table, taker: Taker, key: str, ours: str, reason: str) -> None:
    """Outer addresses that are allowed: %any is all."""
    said = [word for word in words(taker.peek(key)) if word not in {"%any", "0.0.0.0", "::", "0.0.0.0/0", "::/0"}]  # noqa: S104 - no address is bound
    if not said:
        if taker.peek(key):
            taker.mapped(key, reason="any address")
        return
    try:
        table[ours] = [str(ip_network(word, strict=False)) for word in said]
    except ValueError:
        raise taker.refuse(key, "holds a name or a range: here outer addresses are limited by networks") from None
    taker.changed(key, ours, reason)


def _inner(table: Table, taker: Taker, context: Context, *, initiates: bool) -> None:
    vips = words(taker.peek("vips"))
    if vips and initiates:
        asked = [("ipv6" if ":" in word else "ipv4") for word in vips]
        table["virtual_ip"] = [each for each in ("ipv4", "ipv6") if each in asked]
        if all(not _is_address(word) for word in vips):
            taker.mapped("vips", "virtual_ip")
        else:
            taker.changed("vips", "virtual_ip", "any address is asked for, none in particular")
    elif vips:
        taker.lost("vips", "a responder asks for no address")
    names = tuple(words(taker.peek("pools")))
    if names and initiates:
        taker.lost("pools", "only a responder leases addresses")
    elif names:
        table |= context.pools.give(names, taker)


def _times(table: Table, taker: Taker) -> None:
    rekey = span(taker, "rekey_time")
    reauth = span(taker, "reauth_time")
    over = span(taker, "over_time")
    if rekey is not None:
        table["ike_lifetime"] = time(rekey)
        taker.mapped("rekey_time", "ike_lifetime")
    if reauth is not None:
        table["reauth_lifetime"] = time(reauth)
        if reauth and rekey is None:
            rekey = 0
            table["ike_lifetime"] = "0"
        taker.changed("reauth_time", "reauth_lifetime", "the new IKE SA is made before the old one is broken")
    if over is not None and rekey != 0 and over:
        table["ike_lifetime_hard"] = time((14_400 if rekey is None else rekey) + over)
        taker.mapped("over_time", "ike_lifetime_hard")
    elif over is not None:
        taker.lost("over_time", "there is no hard lifetime where there is no rekeying, nor one of nothing")
    if taker.peek("rand_time"):
        taker.changed("rand_time", "", "lifetimes are drawn up to a tenth off, always")
    delay = span(taker, "dpd_delay")
    if delay is None:
        taker.changed("dpd_delay", "", "without it silent peers were not tested; here they are, after liveness = 30s")
    else:
        table["liveness"] = time(delay)
        taker.mapped("dpd_delay", "liveness")


def _switches(table: Table, taker: Taker, *, initiates: bool) -> None:
    mobike = switch(taker, "mobike")
    if mobike and any("mode" in each and each["mode"] == "transport" for each in (table, *table.get("child", ()))):
        taker.changed("mobike", "", "is for tunnels, and a child of it is in transport mode")
    elif mobike is not None:
        table["mobike"] = mobike
        taker.mapped("mobike", "mobike")
    if table.get("start") == "auto" and taker.peek("keyingtries") != "0":
        taker.changed("keyingtries", "reconnect", "it is tried for ever, in growing intervals")
    elif taker.peek("keyingtries"):
        taker.mapped("keyingtries", "reconnect" if initiates else "", "" if initiates else "this end does not call")
    _unique(table, taker, initiates=initiates)
    _childless(table, taker, initiates=initiates)


def _childless(table: Table, taker: Taker, *, initiates: bool) -> None:
    said = taker.peek("childless").lower()
    if not said:
        return
    ours = {"allow": "allow", "never": "never", "prefer": "prefer" if initiates else "allow", "force": "require"}
    if said not in ours:
        raise taker.refuse("childless", "is none of allow, prefer, never, force")
    table["childless"] = ours[said]
    taker.mapped("childless", "childless")


def _unique(table: Table, taker: Taker, *, initiates: bool) -> None:
    said = taker.peek("unique").lower()
    if initiates:
        table["initial_contact"] = said != "never"
        if said:
            taker.mapped("unique", "initial_contact")
        return
    ours = {"": "as-peer-says", "no": "as-peer-says", "never": "never", "keep": "keep", "replace": "replace"}.get(said)
    if ours is None:
        raise taker.refuse("unique", "is none of no, never, keep, replace")
    table["unique"] = ours
    if said:
        taker.mapped("unique", "unique")
