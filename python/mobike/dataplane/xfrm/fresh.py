"""Child SAs of IKE SAs that nothing is in the kernel for yet: what a busy gateway does most, and so a short way for it.

The same steps in the same order as `plan` finds them, in as many sends; but nothing is compared, since there is nothing
to compare with. Where the kernel refuses anything, what follows is up to the usual strands, from just there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mobike.address import ChildId, SaId
from mobike.dataplane.operations import SealedKeys
from mobike.dataplane.xfrm.answers import Carries, Done
from mobike.dataplane.xfrm.mend import Strand
from mobike.dataplane.xfrm.plan import Holding, Means, plan_fresh
from mobike.dataplane.xfrm.state import SaKey
from mobike.dataplane.xfrm.steps import Step


class Fresh(NamedTuple):
    """An IKE SA, its only Child SA, what should be there for it, and how the kernel finds its SAs."""

    sa: SaId
    child: ChildId
    want: Holding
    keys: tuple[SaKey, SaKey]


def put_in(
    kernel: Carries, wanted: Sequence[Fresh], means: Means, keys: Mapping[int, SealedKeys]
) -> list[Strand] | None:
    """None: all of it is there. Else how far each has come."""
    wave, done = kernel.run_fresh([each.want for each in wanted], keys)
    if not done.refusals:
        return None
    strands = strands_of(wanted, means)
    for _ in range(wave):
        for strand in strands:
            strand.answered({})
    at = 0
    for strand in strands:
        span = range(at, at := at + len(strand.next_wave()))
        strand.answered({place - span.start: done.refusals[place] for place in span if place in done.refusals})
    return strands


def step_by_step(
    run: Callable[[Sequence[Step], Mapping[int, SealedKeys]], Done],
    wanted: Sequence[Holding],
    keys: Mapping[int, SealedKeys],
) -> tuple[int, Done]:
    """`run_fresh` by the steps of `plan_fresh`: wave by wave, up to the first of which something is refused."""
    first, last = zip(*map(plan_fresh, wanted), strict=True)
    done = run([step for wave in first for step in wave], keys)
    if done.refusals:
        return 0, done
    return 1, run([step for wave in last for step in wave], keys)


def strands_of(wanted: Sequence[Fresh], means: Means) -> list[Strand]:
    """The usual ones, before their first step."""
    return [Strand.begin_fresh(each.want, means) for each in wanted]
