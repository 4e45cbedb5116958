"""Orders to a daemon. It takes them at once; who gave one wants to know what came of it, so we look until it shows."""

import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, TypeVar
from urllib.parse import quote

from mobike.cli.api import Api, Json
from mobike.cli.failure import Failure, Missing
from mobike.cli.status import detail, find_sa

LOOK_EVERY_S: Final = 0.05

_T = TypeVar("_T")


def bring_up(api: Api, name: str, wait_s: float) -> str:
    """Bring a connection up; what to say of it."""
    before = _connection(api, name)["last_error"]
    api.post(f"connections/{quote(name, safe='')}/up")
    if not wait_s:
        return f"{name}: ordered up"

    def came() -> Json | None:
        now = _connection(api, name)
        if now["state"] != "up" and now["last_error"] not in {None, before}:
            raise Failure(f"{name} did not come up: {now['last_error']}")
        return now if now["state"] == "up" else None

    if _look(came, wait_s) is None:
        last = _connection(api, name)["last_error"]
        raise Failure(f"{name} is not up after {wait_s:g} s" + (f": {last}" if last else ""), hint=_GOES_ON)
    sa = detail(api, find_sa(api, name))["sa"]
    return f"{name}: up, {sa['local']} -> {sa['remote']}"


def take_down(api: Api, name: str, wait_s: float) -> str:
    """Take a connection down, or close one IKE SA."""
    try:
        api.post(f"connections/{quote(name, safe='')}/down")
    except Missing:
        return _close(api, find_sa(api, name), wait_s)
    if not wait_s:
        return f"{name}: ordered down"
    if _look(lambda: None if _connection(api, name)["ike_sas"] else True, wait_s) is None:
        raise Failure(f"{name} still has IKE SAs after {wait_s:g} s", hint=_GOES_ON)
    return f"{name}: down"


def _close(api: Api, sa: str, wait_s: float) -> str:
    api.delete(f"ike-sas/{sa}")
    if not wait_s:
        return f"{sa}: ordered closed"

    def gone() -> bool | None:
        try:
            detail(api, sa)
        except Missing:
            return True
        return None

    if _look(gone, wait_s) is None:
        raise Failure(f"{sa} is still there after {wait_s:g} s", hint=_GOES_ON)
    return f"{sa}: closed"


def move(api: Api, name: str, *, local: str | None, remote: str | None, wait_s: float) -> str:
    """Move an IKE SA to another pair."""
    sa = find_sa(api, name)
    was = detail(api, sa)
    before = was["last_move"]
    order = {"local": local, "remote": remote}
    api.post(f"ike-sas/{sa}/move", {half: ip for half, ip in order.items() if ip is not None})
    if _is_at(was, local, remote):
        return f"{sa}: is there already, and stays there"
    if not wait_s:
        return f"{sa}: ordered to move"

    def arrived() -> Json | None:
        now: Json | None = detail(api, sa)["last_move"]
        return None if now is None or now == before or now["duration_ms"] is None else now

    try:
        done = _look(arrived, wait_s)
    except Missing:
        raise Failure(f"{sa} ended while it moved") from None
    if done is None:
        raise Failure(_where(api, sa, wait_s), hint=_GOES_ON)
    return f"{sa}: moved to {done['to_path']} in {done['duration_ms']:.1f} ms"


def _is_at(shown: Json, local: str | None, remote: str | None) -> bool:
    """Whether it uses this pair. There is nothing to wait for then: to stay is no move."""
    current = next((pair for pair in shown["pairs"] if pair["current"]), None)
    if current is None or shown["sa"]["state"] != "established":
        return False
    wanted = ((local, current["local"]), (remote, current["remote"]))
    return all(said is None or ip_address(said) == ip_address(is_) for said, is_ in wanted)


def go_away(api: Api, name: str, *, span_s: int, wait_s: float) -> str:
    """Be away with a connection."""
    # The daemon's clock is ours: it listens on this machine alone.
    before = time.time()
    api.post(f"connections/{quote(name, safe='')}/away", {"span_s": span_s})
    if not wait_s:
        return f"{name}: asked for leave"

    def answers(event: Json) -> bool:
        return event["connection"] == name and event["at"] >= before and event["kind"] in {"away", "away-refused"}

    answer = api.await_event(answers, wait_s)
    if answer is None:
        raise Failure(f"the peer has not answered after {wait_s:g} s", hint=_GOES_ON)
    if answer["kind"] == "away-refused":
        raise Failure(f"{name}: {answer['text']}")
    return f"{name}: {answer['text']}"


def come_back(api: Api, name: str, wait_s: float) -> str:
    """End being away."""
    sa = find_sa(api, name)
    if detail(api, sa)["sa"]["state"] != "away":
        raise Failure(f"{name} is not away", hint="'mobike status' shows where it is")
    api.post(f"connections/{quote(name, safe='')}/back")
    if not wait_s:
        return f"{name}: ordered back"

    def here() -> Json | None:
        now: Json = detail(api, sa)
        return now if now["sa"]["state"] == "established" else None

    try:
        done = _look(here, wait_s)
    except Missing:
        raise Failure(f"{name} ended meanwhile") from None
    if done is None:
        raise Failure(_where(api, sa, wait_s), hint=_GOES_ON)
    return f"{name}: back, {done['sa']['local']} -> {done['sa']['remote']}"


def reauth(api: Api, name: str, wait_s: float) -> str:
    """Another IKE SA of the same connection, and then the end of this one."""
    sa = find_sa(api, name)
    query = {"connection": detail(api, sa)["sa"]["connection"], "limit": 100}
    before = {each["id"] for each in api.get("ike-sas", query)["items"]}
    api.post(f"ike-sas/{sa}/reauth")
    if not wait_s:
        return f"{sa}: ordered to reauthenticate"

    def another() -> str | None:
        now = (str(each["id"]) for each in api.get("ike-sas", query)["items"])
        return next((each for each in now if each not in before), None)

    new = _look(another, wait_s)
    if new is None:
        raise Failure(f"nothing has taken the place of {sa} after {wait_s:g} s", hint=_GOES_ON)
    return f"{new} takes the place of {sa}"


def drain(api: Api, to: Sequence[str], *, lift: bool) -> str:
    """Send all peers on to another gateway, or serve them again."""
    if lift:
        api.delete("drain")
        return "peers are served here again"
    api.put("drain", {"to": list(to)})
    return f"peers are sent on to {', '.join(to)}"


def rekey(api: Api, name: str, *, children: bool, wait_s: float) -> str:
    """New keys for an IKE SA, or for its Child SAs."""
    sa = find_sa(api, name)
    before = _spis(detail(api, sa), children=children)
    api.post(f"ike-sas/{sa}/rekey", {"children": children})
    if not wait_s:
        return f"{sa}: ordered to rekey"

    def renewed() -> set[str] | None:
        now = _spis(detail(api, sa), children=children)
        return now if now and now.isdisjoint(before) else None

    try:
        now = _look(renewed, wait_s)
    except Missing:
        raise Failure(f"{sa} ended while it was rekeyed") from None
    if now is None:
        raise Failure(f"{sa} has its old keys after {wait_s:g} s", hint=_GOES_ON)
    return f"{sa}: new keys; {'inbound SPI' if children else 'SPI'} {', '.join(sorted(now))}"


def _spis(shown: Json, *, children: bool) -> set[str]:
    return {child["spi_in"] for child in shown["children"]} if children else {shown["sa"]["spi_i"]}


def open_child(api: Api, name: str, child: str, wait_s: float) -> str:
    """Open a Child SA that the connection names."""
    sa = find_sa(api, name)
    before = time.time()
    api.post(f"ike-sas/{sa}/children", {"name": child})
    if not wait_s:
        return f"{child}: ordered up"

    def answers(event: Json) -> bool:
        told = event["kind"] in {"child-up", "child-failed"} and event["data"]["child"] == child
        return bool(told and event["sa"] == sa and event["at"] >= before)

    answer = api.await_event(answers, wait_s)
    if answer is None:
        raise Failure(f"{child} is not up after {wait_s:g} s", hint=_GOES_ON)
    if answer["kind"] == "child-failed":
        raise Failure(answer["text"])
    return f"{sa}: {answer['text']}"


def close_child(api: Api, name: str, child: str, wait_s: float) -> str:
    """Close a Child SA; the others stay."""
    sa = find_sa(api, name)

    def ids() -> list[str]:
        return [each["id"] for each in detail(api, sa)["children"] if each["name"] == child]

    found = ids()
    if not found:
        raise Failure(f"{sa} has no Child SA {child!r}", hint="'mobike status' lists them")
    for each in found:
        api.delete(f"ike-sas/{sa}/children/{each}")
    if wait_s and _look(lambda: None if ids() else True, wait_s) is None:
        raise Failure(f"{child} is still there after {wait_s:g} s", hint=_GOES_ON)
    return f"{child}: down" if wait_s else f"{child}: ordered down"


def unpin(api: Api, name: str) -> str:
    """Let policy choose again."""
    sa = find_sa(api, name)
    api.delete(f"ike-sas/{sa}/pin")
    return f"{sa}: policy chooses again"


def avoid(api: Api, link: str, *, avoid: bool) -> str:
    """Leave a link alone, or no longer."""
    api.put(f"links/{quote(link, safe='')}", {"avoid": avoid})
    return f"{link}: used where nothing else is left" if avoid else f"{link}: used as configured"


_GOES_ON: Final = "the order stands; 'mobike status' shows what comes of it"


def _where(api: Api, sa: str, wait_s: float) -> str:
    now = detail(api, sa)
    return (
        f"{sa} has not moved after {wait_s:g} s; it is at {now['sa']['local']} -> {now['sa']['remote']}: {now['why']}"
    )


def _connection(api: Api, name: str) -> Json:
    for connection in api.get("connections")["items"]:
        if connection["name"] == name:
            found: Json = connection
            return found
    raise Missing(f"there is no connection {name!r}", hint="'mobike status' lists them")


def _look(seen: Callable[[], _T | None], wait_s: float) -> _T | None:
    """What `seen` finds, as soon as it finds something; None if that takes too long."""
    end = time.monotonic() + wait_s
    while (found := seen()) is None:
        if time.monotonic() >= end:
            return None
        time.sleep(LOOK_EVERY_S)
    return found
