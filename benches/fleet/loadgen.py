"""Sets up IKE SAs against any responder with our own engine as the initiator, a bounded number at a time, and asks for
new keys for each if that is the work.

Run in a process of its own, pinned to a core; prints a JSON line for each phase, and waits for a line before the next.
"""

import argparse
import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from itertools import repeat
from pathlib import Path as File
from typing import TypeAlias

from cryptography import x509

from benches.fleet.work import ESP, IDENTITY, INSIDE, PASSWORD, PSK, USER, WORKS, Work, client_id, read_clients
from mobike import _core
from mobike.address import ChildId, Endpoint, Nanos, Path, SaId, Token
from mobike.auth.eap.client import ClientOrders
from mobike.auth.eap.packet import MSCHAPV2
from mobike.auth.eap.talks import Talks
from mobike.auth.trust import key_info
from mobike.commands import (
    SECOND,
    Allow,
    Command,
    Connect,
    Credential,
    Profile,
    Rekey,
    RekeyChild,
    RemoveProfile,
    Retransmit,
    SetProfile,
)
from mobike.dataplane.operations import ChildOrder
from mobike.events import (
    Authorise,
    ChildUp,
    ConnectFailed,
    CoreEvent,
    EapAsked,
    IkeSaDown,
    IkeSaRekeyed,
    IkeSaUp,
    PlaneEvent,
    Question,
)

Told: TypeAlias = CoreEvent | PlaneEvent | Question | ChildOrder

TAKE = 1024
STALL_S = 30.0
"""Nothing new for so long: the responder is stuck."""


@dataclass(frozen=True, slots=True)
class Target:
    """The responder."""

    address: str
    natt_port: int
    """IKE_SA_INIT goes there too (RFC 7296 section 2.23): strongSwan takes IKE on odd ports with the marker only."""
    local: str
    """Our own address."""
    ports: tuple[int, int]
    """Ours for IKE, and for IKE and ESP in UDP."""


class Inside(Enum):
    """Which inner addresses clients have."""

    ASKED = auto()
    OWN = auto()
    SHARED = auto()

    def of(self, number: int, shared: str) -> tuple[str, ...]:
        """The local selectors of this client."""
        match self:
            case Inside.ASKED:
                return ()
            case Inside.OWN:
                return (f"{ip_network(INSIDE)[number + 1]}/32",)
            case Inside.SHARED:
                return (f"{shared}/32",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one phase saw."""

    wanted: int
    done: int
    failed: int
    seconds: float
    per_second: float
    initiator_cpu_us: float


class Load:
    """Many IKE SAs, from one core of ours."""

    def __init__(self, work: Work, target: Target, papers: File, count: int) -> None:
        local, ports = target.local, target.ports
        self._work = work
        self._target = target
        self._core = _core.Core(
            listen=[local], ike_port=ports[0], natt_port=ports[1], inner="none", plane="null", max_sas=count + 1024
        )
        self._poll = select.poll()
        self._poll.register(self._core.event_fd(), select.POLLIN)
        self._path = Path(Endpoint(ip_address(local), ports[1]), Endpoint(ip_address(target.address), target.natt_port))
        names = map("c{}".format, range(count))
        orders = ClientOrders(USER, (MSCHAPV2,), PASSWORD)
        self._talks = Talks(dict(zip(names, repeat(orders), strict=False)), os.urandom)
        self._credentials = list(read_clients(papers)) if work.auth == "cert" else []
        self._children: dict[SaId, ChildId] = {}
        self.why: set[str] = set()

    def set_up(self, count: int, window: int, inside: Inside) -> Outcome:
        """`count` SAs with a Child SA each, `window` of them under way at any time; they stay up."""

        def begin(number: int) -> list[Command]:
            credential = self._credentials[number] if self._credentials else None
            profile = profile_of(number, self._work, credential, inside.of(number, self._target.local))
            return [SetProfile(profile), Connect(Token(number), profile.name, (self._path,), self._target.natt_port)]

        return self._run(count, window, begin, lambda event: isinstance(event, ChildUp))

    def rekey(self, window: int) -> Outcome:
        """New keys for each SA, or a new Child SA."""
        children = list(self._children.items())
        if self._work.rekey == "ike":
            return self._run(
                len(children), window, lambda n: [Rekey(children[n][0])], lambda event: isinstance(event, IkeSaRekeyed)
            )
        return self._run(
            len(children), window, lambda n: [RekeyChild(children[n][1])], lambda event: isinstance(event, ChildUp)
        )

    def _run(
        self, count: int, window: int, begin: Callable[[int], list[Command]], is_done: Callable[[Told], bool]
    ) -> Outcome:
        begun = done = failed = 0
        began = last = time.monotonic()
        cpu_began = time.process_time()
        answers: deque[Command] = deque()
        while done + failed < count and time.monotonic() - last < STALL_S:
            orders = list(answers)
            answers.clear()
            while begun < count and begun - done - failed < window:
                orders += begin(begun)
                begun += 1
            if orders:
                self._core.submit(orders)
            self._poll.poll(1000)
            for event in self._core.take_events(TAKE):
                last = time.monotonic()
                done += is_done(event)
                failed += isinstance(event, ConnectFailed | IkeSaDown)
                answers.extend(self._answers(event))
        seconds = last - began
        cpu = time.process_time() - cpu_began
        return Outcome(count, done, failed, seconds, done / seconds, cpu / max(1, done) * 1e6)

    def _answers(self, event: Told) -> list[Command]:
        match event:
            case IkeSaUp():
                return [RemoveProfile(event.connection)]
            case ChildUp():
                self._children[event.sa] = event.child
            case Authorise():
                # The gateway's signature is checked; who issued its certificate is no work of the responder's.
                own = x509.load_der_x509_certificate(event.certificates[0])
                return [Allow(event.sa, event.question, key_info(own))]
            case EapAsked():
                reply = self._talks.reply(event, Nanos(time.monotonic_ns()), datetime.now(UTC))
                return [] if reply is None else [reply]
            case ConnectFailed() | IkeSaDown():
                self.why.add(event.why)
            case _:
                pass
        return []


def profile_of(number: int, work: Work, credential: Credential | None, local_ts: tuple[str, ...]) -> Profile:
    """Without selectors it asks for an address."""
    return Profile(
        name=f"c{number}",
        local_id=client_id(number),
        remote_id=IDENTITY,
        psk=PSK.encode() if work.auth == "psk" else b"",
        ike_proposals=(work.ike,),
        esp_proposals=(ESP,),
        local_ts=local_ts,
        remote_ts=("0.0.0.0/0",),
        request_ip4=not local_ts,
        initial_contact=False,
        liveness=0,
        nat_keepalive=0,
        retransmit=Retransmit(initial=2 * SECOND),
        credential=credential,
        remote_certificate=work.auth != "psk",
        local_eap=work.auth == "eap",
    )


def tell(outcome: Outcome) -> None:
    json.dump(asdict(outcome), sys.stdout)
    print(flush=True)
    sys.stdin.readline()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=WORKS, default="psk")
    parser.add_argument("--papers", type=File, required=True, help="a folder that `write_papers` has filled")
    parser.add_argument("--address", required=True)
    parser.add_argument("--natt-port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--local", default="127.0.9.1")
    parser.add_argument("--local-ports", type=int, nargs=2, default=(26500, 26501))
    parser.add_argument("--virtual-ip", action="store_true", help="clients ask for their inner addresses")
    parser.add_argument("--own-prefix", action="store_true", help="an inner address for each without asking")
    a = parser.parse_args()
    work = WORKS[a.work]
    inside = Inside.ASKED if a.virtual_ip else Inside.OWN if a.own_prefix else Inside.SHARED
    load = Load(work, Target(a.address, a.natt_port, a.local, tuple(a.local_ports)), a.papers, a.count)
    tell(load.set_up(a.count, a.window, inside))
    if work.rekey:
        tell(load.rekey(a.window))
    for reason in sorted(load.why)[:5]:
        print(f"loadgen: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
