"""What one whole-fleet decision costs. `python -m benches.fleet_decision [SAS]`

A gateway holds very many SAs of clients; one of its two addresses dies, comes back, and dies again. The figure is the
CPU time from the event to the batch of commands and operations: the turn in which every SA moves.
"""

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from statistics import median

from mobike.address import Endpoint, Ip, Nanos, Path, SaId
from mobike.events import AddressAdded, AddressRemoved, ChildUp, Event, IkeSaUp, Nat, Role
from mobike.events import PathSilent as Silent
from mobike.fleet import Decided, Fleet
from mobike.policy.connection import ConnectionPolicy

SAS = 100_000
SECOND = 1_000_000_000
FIRST, SECOND_IP, PEER = (ip_address(each) for each in ("192.0.2.1", "198.51.100.1", "203.0.113.1"))
ROUNDS = 5


@dataclass
class Scene:
    fleet: Fleet
    now: Nanos = Nanos(SECOND)  # noqa: RUF009

    def hears(self, *events: Event) -> Decided:
        self.now = Nanos(self.now + SECOND)
        return self.fleet.handle(events, self.now)

    def rests(self) -> None:
        """Until nothing is left to do now."""
        end = self.now + 60 * SECOND
        while (deadline := self.fleet.poll_deadline()) is not None and deadline <= end:
            self.now = Nanos(max(deadline, self.now))
            self.fleet.handle((), self.now)


def _up(n: int, role: Role, local: Ip, remote: Ip) -> tuple[Event, Event]:
    sa = SaId(n + 1)
    path = Path(Endpoint(local, 4500), Endpoint(remote, 4500))
    peer = f"client-{n}@example.net"
    return (
        IkeSaUp(sa, None, "road", role, path, Nat.NONE, peer, True, (), (), n, n + 1, "AES_GCM_16_256"),
        ChildUp(sa, n, "one", n, n, "AES_GCM_16_256", ("10.1.0.0/16",), ("10.2.0.0/16",), encap=False),  # type: ignore[arg-type]
    )


def scene(sas: int, role: Role) -> Scene:
    """A gateway with clients, each elsewhere; or a host with many SAs to one gateway."""
    initiates = role is Role.INITIATOR
    policy = ConnectionPolicy("road", initiates=initiates, remotes=(PEER,) if initiates else ())
    made = Scene(Fleet((policy,)))
    made.hears(AddressAdded(FIRST, "eth0"), AddressAdded(SECOND_IP, "eth1"))
    for n in range(sas):
        made.fleet.handle(_up(n, role, FIRST, PEER if initiates else PEER + n), made.now)
    made.rests()
    return made


def cpu(work: Callable[[], Decided]) -> tuple[float, Decided]:
    """CPU seconds; the collector is as calm as in the daemon."""
    gc.collect()
    gc.freeze()
    gc.disable()
    begin = time.process_time()
    decided = work()
    spent = time.process_time() - begin
    gc.enable()
    gc.unfreeze()
    return spent, decided


def dead_address(sas: int, role: Role) -> None:
    spent = []
    for _ in range(ROUNDS):
        host = scene(sas, role)
        time_spent, decided = cpu(lambda: host.hears(AddressRemoved(FIRST, "eth0")))  # noqa: B023
        assert len(decided.operations) == sas
        spent.append(time_spent)
    who = "gateway, clients everywhere" if role is Role.RESPONDER else "host, one gateway"
    per = median(spent) / sas * 1e6
    print(f"{sas:,} SAs ({who}): one address dies, all move: {median(spent):.3f} s CPU, {per:.2f} us an SA")


def dead_path(sas: int) -> None:
    path = Path(Endpoint(FIRST, 4500), Endpoint(PEER, 4500))
    silences = [Silent(SaId(n + 1), path, 0, 2, Nanos(SECOND // 2)) for n in range(sas)]  # type: ignore[arg-type]
    spent = []
    for _ in range(ROUNDS):
        host = scene(sas, Role.INITIATOR)
        time_spent, decided = cpu(lambda: host.hears(*silences))  # noqa: B023
        assert len(decided.commands) == 1
        spent.append(time_spent)
    print(f"{sas:,} SAs tell that one remote path is silent: {median(spent):.3f} s CPU, 1 test sent")


def main() -> None:
    sas = int(sys.argv[1]) if len(sys.argv) > 1 else SAS
    dead_address(sas, Role.RESPONDER)
    dead_address(sas, Role.INITIATOR)
    dead_path(sas)


if __name__ == "__main__":
    main()
