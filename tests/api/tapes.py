"""Captures of a daemon that has none: each is over at once, with one datagram in it."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from mobike import pcapng
from mobike.address import Endpoint, Nanos, Path
from mobike.facade import NotFound, Refused
from mobike.facade.captures import CaptureView, KeysView
from mobike.tape import Frame

BEGAN = 1_790_000_000.0
PATH = Path(Endpoint(ip_address("192.0.2.10"), 4500), Endpoint(ip_address("203.0.113.1"), 4500))
FRAME = Frame(Nanos(5), PATH, True, b"\0\0\0\0ike")
KEYS = KeysView(('"IPv4","*","*","0x1","NULL","","NULL",""',), ("0001,0002",))


@dataclass
class Tapes:
    """Implements `mobike.facade.captures.Captures`."""

    known: dict[str, CaptureView] = field(default_factory=dict)
    sas: frozenset[str] = frozenset("123456789abcdef")
    busy: bool = False

    def start(self, sa: str, seconds: int, *, by: str) -> CaptureView:
        if sa not in self.sas:
            raise NotFound(f"there is no IKE SA {sa}")
        if self.busy:
            raise Refused("another capture runs")
        id_ = f"{len(self.known):016x}"
        view = CaptureView(id_, sa, by, BEGAN, BEGAN + seconds, BEGAN + seconds, "its time is over", 1, 7, 0)
        self.known[id_] = view
        return replace(view, ended=None, why_ended=None, packets=0, octets=0)

    def get(self, id_: str) -> CaptureView:
        if id_ not in self.known:
            raise NotFound(f"there is no capture {id_!r}")
        return self.known[id_]

    def packets(self, id_: str) -> bytes:
        self.get(id_)
        return pcapng.written([FRAME], int(BEGAN * 1e9))

    def keys(self, id_: str) -> KeysView:
        self.get(id_)
        return KEYS

    def end(self, id_: str) -> CaptureView:
        self.get(id_)
        return self.known.pop(id_)
