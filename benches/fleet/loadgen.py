"""Sets up IKE SAs against any responder with our own engine as the initiator, a bounded number at a time.

Each SA has an identity of its own, so that a responder cannot fold them into one. Run in a process of its own, pinned
to a core; prints one JSON line.
"""

import argparse
import json
import select
import sys
import time
from dataclasses import asdict, dataclass
from ipaddress import ip_address

from mobike import _core
from mobike.address import Endpoint, Path, Token
from mobike.commands import SECOND, Command, Connect, Profile, RemoveProfile, Retransmit, SetProfile
from mobike.events import ChildUp, ConnectFailed, IkeSaDown, IkeSaUp

TAKE = 1024
STALL_S = 30.0
"""Nothing new for so long: the responder is stuck."""


@dataclass(frozen=True, slots=True)
class Target:
    """The responder."""

    address: str
    natt_port: int
    """IKE_SA_INIT goes there too (RFC 7296 section 2.23): strongSwan takes IKE on odd ports with the marker only."""
    identity: str
    psk: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run saw."""

    wanted: int
    up: int
    children: int
    failed: int
    down: int
    seconds: float
    setups_per_s: float
    initiator_cpu_us: float


def profile_of(number: int, target: Target, local: str, *, virtual_ip: bool) -> Profile:
    return Profile(
        name=f"c{number}",
        local_id=f"u{number}@bench.example",
        remote_id=target.identity,
        psk=target.psk.encode(),
        ike_proposals=("aes128gcm16-prfsha256-x25519",),
        esp_proposals=("aes128gcm16",),
        local_ts=() if virtual_ip else (f"{local}/32",),
        remote_ts=("0.0.0.0/0",),
        request_ip4=virtual_ip,
        initial_contact=False,
        liveness=0,
        nat_keepalive=0,
        retransmit=Retransmit(initial=2 * SECOND),
    )


def run(target: Target, *, count: int, window: int, local: str, ports: tuple[int, int], virtual_ip: bool) -> Outcome:
    """Set up `count` SAs, `window` of them under way at any time, and leave them up."""
    core = _core.Core(
        listen=[local], ike_port=ports[0], natt_port=ports[1], inner="none", plane="null", max_sas=count + 1024
    )
    path = Path(Endpoint(ip_address(local), ports[1]), Endpoint(ip_address(target.address), target.natt_port))
    poll = select.poll()
    poll.register(core.event_fd(), select.POLLIN)
    up = children = failed = down = begun = 0
    why: set[str] = set()
    began = last = time.monotonic()
    cpu_began = time.process_time()
    while up + failed < count or children < up:
        orders: list[Command] = []
        while begun < count and begun - up - failed < window:
            orders.append(SetProfile(profile_of(begun, target, local, virtual_ip=virtual_ip)))
            orders.append(Connect(Token(begun), f"c{begun}", (path,), target.natt_port))
            begun += 1
        if orders:
            core.submit(orders)
        poll.poll(1000)
        for event in core.take_events(TAKE):
            last = time.monotonic()
            match event:
                case IkeSaUp():
                    up += 1
                    core.submit([RemoveProfile(event.connection)])
                case ChildUp():
                    children += 1
                case ConnectFailed():
                    failed += 1
                    why.add(event.why)
                case IkeSaDown():
                    down += 1
                    why.add(event.why)
                case _:
                    pass
        if time.monotonic() - last > STALL_S:
            break
    seconds = last - began
    cpu = time.process_time() - cpu_began
    for reason in sorted(why)[:5]:
        print(f"loadgen: {reason}", file=sys.stderr)
    return Outcome(count, up, children, failed, down, seconds, up / seconds, cpu / max(1, up) * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--natt-port", type=int, required=True)
    parser.add_argument("--identity", default="gateway.bench.example")
    parser.add_argument("--psk", default="bench-psk")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--local", default="127.0.9.1")
    parser.add_argument("--local-ports", type=int, nargs=2, default=(26500, 26501))
    parser.add_argument("--virtual-ip", action="store_true")
    a = parser.parse_args()
    target = Target(a.address, a.natt_port, a.identity, a.psk)
    outcome = run(
        target, count=a.count, window=a.window, local=a.local, ports=tuple(a.local_ports), virtual_ip=a.virtual_ip
    )
    json.dump(asdict(outcome), sys.stdout)
    print(flush=True)
    # The SAs stay up until we are told that the responder has been measured.
    sys.stdin.read()


if __name__ == "__main__":
    main()
