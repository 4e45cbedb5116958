"""`mobike ladder`: what the ends of one IKE SA asked each other of late."""

import time
from typing import Final
from urllib.parse import quote

from rich.text import Text

from mobike.cli.api import Api, Json
from mobike.cli.draw import text
from mobike.cli.output import Column

EMPTY: Final = "Nothing was asked since the daemon began."
_LOST: Final = "unanswered"
_SENT_BACK: Final = {"COOKIE", "INVALID_KE_PAYLOAD"}
"""It is to be asked again, in another way."""


def _outcome(words: str) -> Text:
    bad = words.startswith((_LOST, "refused"))
    return text(words, "red" if bad else "green" if words.startswith("answered") else "")


COLUMNS: Final = (
    Column("when", style="dim"),
    Column("asked", style="bold"),
    Column("exchange", spare=1),
    Column("topic", "about"),
    Column("message_id", ">id", spare=2),
    Column("outcome", "what came of it", paint=_outcome, gives=True),
    Column("many_paths", "many paths", wide=True),
    Column("since_time", "since", wide=True),
)


def exchanges(api: Api, sa: str) -> list[Json]:
    """In the order in which they ended; what is unanswered is the last."""
    items: list[Json] = api.get(f"ike-sas/{quote(sa, safe='')}/exchanges")["items"]
    return items


def in_words(each: Json) -> Json:
    """With the arrow and the sentence that people read."""
    return each | {
        "when": _clock(each["at"]),
        "since_time": _clock(each["since"]) if each["times"] > 1 else "",
        "asked": "us -> peer" if each["asked_by"] == "us" else "us <- peer",
        "outcome": ", ".join(_said(each)),
    }


def _said(each: Json) -> list[str]:
    ours = each["asked_by"] == "us"
    took = "" if each["took_ms"] is None else f" in {each['took_ms']:.1f} ms"
    back = "sent back" if each["error"] in _SENT_BACK else "refused"
    ended = f"{back}: {each['error']}" if each["error"] else f"answered{took}" if each["answered"] else _LOST
    words = [ended]
    if each["times"] > 1:
        words.append(f"{each['times']:,} in a row")
    if each["sent"] > 1:
        words.append(f"{'sent' if ours else 'came'} {each['sent']} times{' or more' if each['sent'] == 255 else ''}")
    if each["many_paths"]:
        words.append("over more than one path")
    return words


def _clock(at: float) -> str:
    """With the day where that was not of late."""
    form = "%H:%M:%S" if time.time() - at < 43_200 else "%Y-%m-%d %H:%M:%S"
    return time.strftime(form, time.localtime(at))
