"""`mobike cleanup`, and what `mobike doctor` says of the same: what a daemon that is gone has left in the kernel."""

from pyroute2.netlink.exceptions import NetlinkError

from mobike.cli.api import Api, Target
from mobike.cli.checkup import Checked
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.leavings import Leavings
from mobike.dataplane.xfrm.health import Grade


def clean_up(target: Target, *, remove: bool) -> list[str]:
    """What there is to say, a line each."""
    if _answers(target):
        raise Failure(
            f"the daemon at {target.place} runs: what is there may be its own",
            hint="stop it, or take its connections down: mobike down NAME",
        )
    try:
        left = Leavings.find()
        if not left:
            return ["nothing is left of a daemon"]
        refused = left.remove() if remove else []
    except (OSError, NetlinkError) as problem:
        raise Failure(f"the kernel does not say what is left: {problem}", hint="ask as root") from problem
    if refused:
        raise Failure("; ".join(refused), hint="ask as root")
    if remove:
        return [*left.lines(), f"removed: {left.summary()}"]
    return [*left.lines(), f"left: {left.summary()}; mobike cleanup --remove takes it away"]


def left_behind(target: Target) -> Checked | None:
    """For the doctor, where no daemon answers; nothing where nothing is left, or may be seen."""
    if _answers(target):
        return None
    try:
        left = Leavings.find()
    except (OSError, NetlinkError):
        return None
    if not left:
        return None
    return Checked(
        Grade.WARN,
        f"a daemon that is gone has left {left.summary()}: what it kept from leaving in the clear stays blocked",
        "start it again, and it takes over what it wants still; or mobike cleanup, to see and to remove it",
    )


def _answers(target: Target) -> bool:
    try:
        with Api(target) as api:
            api.get("health")
    except Failure as failure:
        return failure.code is not ExitCode.UNREACHABLE
    return True
