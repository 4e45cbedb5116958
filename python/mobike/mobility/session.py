"""Our view of one IKE SA. Small on purpose: a gateway holds very many, and most of them sleep."""

from typing import NamedTuple

from mobike.address import Generation, Ip, Nanos, Pair, Path, SaId
from mobike.events import Nat, Role
from mobike.mobility.folded import ChildFacts, SessionFacts, unfold_children, unfold_session
from mobike.mobility.states import STABLE, State, Updating
from mobike.policy.choose import Pin
from mobike.policy.connection import ConnectionPolicy


class MoveRecord(NamedTuple):
    """A move that is over: the new pair is agreed."""

    at: Nanos
    from_path: Path
    to_path: Path
    why: str
    duration: Nanos | None
    """From the decision to the peer's answer; None where the peer moved, or where no answer is awaited."""


class Session:
    """One IKE SA. `path` is in use, by the data plane too; what is awaited beside it is in `state`."""

    __slots__ = (
        "children",
        "connection",
        "facts",
        "generation",
        "last_move",
        "left_out",
        "mobike",
        "moves",
        "nat",
        "path",
        "peer_addresses",
        "peer_chose",
        "pin",
        "probes",
        "role",
        "sa",
        "state",
        "suite",
        "told",
    )

    def __init__(
        self,
        *,
        sa: SaId,
        connection: ConnectionPolicy,
        role: Role,
        mobike: bool,
        path: Path,
        nat: Nat,
        peer_addresses: tuple[Ip, ...],
        told: tuple[Ip, ...],
        suite: str,
        facts: bytes,
        probes: bool = False,
    ) -> None:
        self.sa = sa
        self.connection = connection
        self.role = role
        self.mobike = mobike
        self.path = path
        self.peer_chose = path
        """Responder: where the initiator is by its own word, and sends to, whatever happens to our addresses."""
        self.nat = nat
        self.state: State = STABLE
        self.generation = Generation(0)
        """Of the latest decision."""
        self.peer_addresses = peer_addresses
        self.left_out: Ip | None = None
        """The peer's address that was in use when its list left it out."""
        self.told = told
        """Our list of addresses as the peer has it."""
        self.pin: Pin | None = None
        self.probes = probes
        """Both ends know path probes."""
        self.suite = suite
        self.facts = facts
        self.children = b""
        self.moves = 0
        self.last_move: MoveRecord | None = None

    @property
    def pair(self) -> Pair:
        return self.path.pair

    @property
    def target(self) -> Path | None:
        """The path that is asked for, while one is."""
        return self.state.path if isinstance(self.state, Updating) else None

    def unfold(self) -> SessionFacts:
        return unfold_session(self.facts)

    def unfold_children(self) -> tuple[ChildFacts, ...]:
        return unfold_children(self.children, self.connection.name)

    def next_generation(self) -> Generation:
        self.generation = Generation(self.generation + 1)
        return self.generation
