"""Two Child SAs with one address and SPI: a kernel has room for one of them, and whoever came first keeps it. Pure.

SPIs of what we send are chosen by peers. Two clients behind one NAT are at one address and know nothing of each other;
a peer may also choose the SPI of another on purpose.
"""

from collections.abc import Callable

from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.state import Sa, SaKey, SaName


def clashes(have: Holding, want: Holding, is_taken: Callable[[SaKey, SaName], bool]) -> dict[int, str]:
    """By Child SA that would come, or move, to where another one is: what to say. `is_taken`: by another name."""
    found: dict[int, str] = {}
    stay = {sa.key for name, sa in want.sas.items() if _stays(have, name, sa)}
    for name, sa in want.sas.items():
        if _stays(have, name, sa):
            continue
        if sa.key in stay or is_taken(sa.key, name):
            found[name.child] = _sentence(sa)
        stay.add(sa.key)
    return found


def newcomers(have: Holding, want: Holding) -> set[SaKey]:
    """Where SAs come, move to, and move away from: others may not do so at the same time."""
    come = {sa.key for name, sa in want.sas.items() if not _stays(have, name, sa)}
    go = {sa.key for name, sa in have.sas.items() if name not in want.sas or want.sas[name].key != sa.key}
    return come | go


def _stays(have: Holding, name: SaName, sa: Sa) -> bool:
    was = have.sas.get(name)
    return was is not None and was.spi == sa.spi and was.destination == sa.destination


def _sentence(sa: Sa) -> str:
    if sa.inbound:
        return f"another Child SA receives at {sa.destination} with SPI {sa.spi:#010x}"
    return f"its peer chose SPI {sa.spi:#010x}, with which another Child SA sends to {sa.destination}"
