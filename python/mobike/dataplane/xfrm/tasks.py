"""What orders change of an IKE SA, and who waits until the kernel is there. Pure."""

from dataclasses import dataclass, field

from mobike.address import ChildId, Endpoint, Path, SaId
from mobike.dataplane.operations import MoveSa
from mobike.dataplane.xfrm.book import Way
from mobike.dataplane.xfrm.mend import Strand
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import PolicyKey, SaKey


@dataclass(frozen=True, slots=True)
class Ports:
    """How IKE paths become those of ESP."""

    ike: int = 500
    natt: int = 4500
    always_encap: bool = False

    def way(self, path: Path, encap: bool) -> Way:
        """ESP in UDP uses the ports of NAT traversal, also where IKE stayed on its own (RFC 7296 section 2.23)."""
        encap = encap or self.always_encap
        local, remote = path.local, path.remote
        if encap and local.port != self.natt:
            local = Endpoint(local.ip, self.natt)
            remote = Endpoint(remote.ip, self.natt) if remote.port == self.ike else remote
        return Way(Path(local, remote, path.transport), encap)


@dataclass(slots=True)
class Touched:
    """What orders changed of one IKE SA."""

    changed: bool = False
    selectors: dict[Selector, None] = field(default_factory=dict)
    """Of Child SAs that went."""
    installs: list[ChildId] = field(default_factory=list)
    move: MoveSa | None = None
    old_way: Way | None = None


@dataclass(slots=True)
class Task:
    """An IKE SA that is being brought to its goal, and who waits for that."""

    sa: SaId
    strand: Strand
    move: MoveSa | None = None
    old_way: Way | None = None
    installs: list[ChildId] = field(default_factory=list)
    selectors: dict[Selector, None] = field(default_factory=dict)
    newcomers: set[SaKey] = field(default_factory=set)

    @property
    def keys(self) -> set[PolicyKey | SaKey]:
        """Of policies and SAs that it may change."""
        return {*self.strand.have.policies, *self.strand.want.policies, *self.newcomers}
