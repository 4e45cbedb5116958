"""What somebody else does to SAs and policies of ours: an administrator, or another IKE daemon that cleans up. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from mobike.dataplane.xfrm.read import News, Removed
from mobike.dataplane.xfrm.state import SaKey

MEDDLED: Final = (
    "somebody else removed it, and it is put back: flush IPsec by hand no more, and let no other IKE daemon do so"
)

OVERFLOWN: Final = (
    "the kernel had more news than there was room for, so all SAs and policies are looked at now; where this comes "
    "again and again, the daemon gets too little of the processor"
)


@dataclass(frozen=True, slots=True)
class Meddling:
    """What may be gone, and must be looked at."""

    sas: tuple[SaKey, ...] = ()
    any_sa: bool = False
    policies: bool = False

    @classmethod
    def of(cls, news: Iterable[News], *, lost: bool) -> Self:
        """`lost`: there was more news than could be kept, and it may have been of anything."""
        removed = [each for each in news if isinstance(each, Removed)]
        return cls(
            sas=tuple(each.key for each in removed if each.key is not None),
            any_sa=lost or any(each.key is None and not each.policies for each in removed),
            policies=lost or any(each.policies for each in removed),
        )
