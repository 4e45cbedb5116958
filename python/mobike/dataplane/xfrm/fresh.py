"""Child SAs of IKE SAs that nothing is in the kernel for yet: what a busy gateway does most, and so a short way for it.

The same steps in the same order as `plan` finds them, in as many sends; but nothing is compared, since there is nothing
to compare with. Where the kernel refuses anything, what follows is up to the usual strands, from just there.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mobike.address import ChildId, SaId
from mobike.dataplane.operations import SealedKeys
from mobike.dataplane.xfrm.answers import Carries
from mobike.dataplane.xfrm.mend import Strand
from mobike.dataplane.xfrm.plan import Holding, Means


class Fresh(NamedTuple):
    """An IKE SA, its only Child SA, and what should be there for it."""

    sa: SaId
    child: ChildId
    want: Holding


def put_in(
    kernel: Carries, wanted: Sequence[Fresh], means: Means, keys: Mapping[int, SealedKeys]
) -> list[Strand] | None:
    """None: all of it is there. Else how far each has come."""
    for turn in range(2):
        refusals = kernel.run_fresh([each.want for each in wanted], turn, keys).refusals
        if refusals:
            strands = strands_of(wanted, means)
            if turn:
                for strand in strands:
                    strand.answered({})
            at = 0
            for strand in strands:
                span = range(at, at := at + len(strand.next_wave()))
                strand.answered({place - span.start: refusals[place] for place in span if place in refusals})
            return strands
    return None


def strands_of(wanted: Sequence[Fresh], means: Means) -> list[Strand]:
    """The usual ones, before their first step."""
    return [Strand.begin_fresh(each.want, means) for each in wanted]
