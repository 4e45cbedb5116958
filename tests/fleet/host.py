"""A host with a fleet: short words for what happens to it."""

from dataclasses import dataclass, field

from mobike.address import ChildId, Endpoint, Generation, Ip, Nanos, Pair, Path, SaId, Token
from mobike.commands import Announce, Close, Command, Connect, Move, SetLocalAddresses
from mobike.dataplane.operations import MoveSa, Operation
from mobike.events import AddressAdded, AddressRemoved, ChildUp, Event, IkeSaUp, Moved, Nat, Role
from mobike.fleet import Decided, Fleet, Note, RouteQuestion
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.links import LinkRule
from tests.policy.words import CELLULAR, OFFICE, WIFI

MS = 1_000_000
SECOND = 1_000 * MS
PHONE = ConnectionPolicy(
    "office", initiates=True, remotes=(OFFICE,), links=(LinkRule("wlan*", rank=1), LinkRule("wwan*", rank=2))
)
GATEWAY = ConnectionPolicy("road", initiates=False)


@dataclass
class Host:
    connections: tuple[ConnectionPolicy, ...] = (PHONE,)
    now: Nanos = Nanos(SECOND)  # noqa: RUF009
    seed: int = 0
    commands: list[Command] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    questions: list[RouteQuestion] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.connections, seed=self.seed)

    def hears(self, *events: Event, after: int = 0) -> Decided:
        self.now = Nanos(self.now + after)
        decided = self.fleet.handle(events, self.now)
        self.commands += decided.commands
        self.operations += decided.operations
        self.notes += decided.notes
        self.questions += decided.questions
        assert not [note.text for note in decided.notes if note.kind == "internal-error"]
        return decided

    def passes(self, time: int) -> None:
        """Time passes; the fleet is woken when it asked to be."""
        end = self.now + time
        while (deadline := self.fleet.poll_deadline()) is not None and deadline <= end:
            self.now = Nanos(max(deadline, self.now))
            self.hears()
        self.now = Nanos(end)

    def joins(self, ip: Ip, link: str) -> Decided:
        return self.hears(AddressAdded(ip, link))

    def leaves(self, ip: Ip, link: str) -> Decided:
        return self.hears(AddressRemoved(ip, link))

    def moves(self) -> list[tuple[SaId, Pair]]:
        return [(each.sa, each.path.pair) for each in self.commands if isinstance(each, Move)]

    def connects(self) -> list[Connect]:
        return [each for each in self.commands if isinstance(each, Connect)]

    def announces(self) -> list[Announce]:
        return [each for each in self.commands if isinstance(each, Announce)]

    def lists(self) -> list[tuple[Ip, ...]]:
        return [each.addresses for each in self.commands if isinstance(each, SetLocalAddresses)]

    def closes(self) -> list[SaId]:
        return [each.sa for each in self.commands if isinstance(each, Close)]

    def plane(self) -> dict[SaId, Pair]:
        return {each.sa: each.path.pair for each in self.operations if isinstance(each, MoveSa)}

    def answer(self, sa: SaId) -> Moved:
        move = [each for each in self.commands if isinstance(each, Move) and each.sa == sa][-1]
        return Moved(sa, move.path, move.generation, Nat.NONE, Nanos(MS))

    def answer_generation(self, sa: SaId) -> Generation:
        """Of the latest decision about it."""
        return max(
            (each.generation for each in self.commands if isinstance(each, Move) and each.sa == sa),
            default=Generation(0),
        )

    def kinds(self) -> list[str]:
        return [note.kind for note in self.notes]


def path(local: Ip = WIFI, remote: Ip = OFFICE, port: int = 4500) -> Path:
    return Path(Endpoint(local, port), Endpoint(remote, port))


def up(
    sa: int = 1,
    *,
    token: Token | None = None,
    connection: str = "office",
    role: Role = Role.INITIATOR,
    on: Path | None = None,
    mobike: bool = True,
    peer_addresses: tuple[Ip, ...] = (),
    virtual_ips: tuple[Ip, ...] = (),
) -> IkeSaUp:
    return IkeSaUp(
        SaId(sa),
        token,
        connection,
        role,
        on or path(),
        Nat.NONE,
        "peer.example.net",
        mobike,
        peer_addresses,
        virtual_ips,
        spi_i=sa,
        spi_r=sa + 1,
        suite="AES_GCM_16_256/PRF_SHA256/X25519",
    )


def child_up(sa: int = 1, child: int = 100, *, name: str = "office") -> ChildUp:
    return ChildUp(
        SaId(sa), ChildId(child), name, 0xA, 0xB, "AES_GCM_16_256", ("10.1.0.0/16",), ("10.2.0.0/16",), encap=False
    )


def phone(*, links: bool = True) -> Host:
    """A phone whose connection is up on Wi-Fi, with a cellular link beside it."""
    host = Host()
    host.hears(AddressAdded(WIFI, "wlan0"), *([AddressAdded(CELLULAR, "wwan0")] if links else []))
    connect = host.connects()[0]
    host.hears(up(token=connect.token), child_up())
    host.passes(SECOND)
    return host


def gateway(clients: int = 3) -> Host:
    """A gateway with two addresses and some clients on the first."""
    host = Host((GATEWAY,))
    host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
    host.passes(SECOND)
    for n in range(clients):
        host.hears(
            up(n + 1, connection="road", role=Role.RESPONDER, on=path(remote=OFFICE + n)), child_up(n + 1, 100 + n)
        )
    return host
