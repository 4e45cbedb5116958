"""The command `mobike`.

    app         the commands and their options
    api         the daemon's API, asked over its Unix socket or over TCP
    http        what carries that: HTTP/1.1, quick to import
    order       up, down, move: give an order, and wait for what comes of it
    bulk        one order about many, followed to its end
    bar         how far an order has come
    capture     packets and keys of one IKE SA, for Wireshark
    drill       a share of the IKE SAs moves, within a guard
    status      what is shown of a daemon: taken in one go, drawn in `draw`
    listing     `mobike list`; printed by `output`
    watch       the daemon live
    pipe        who reads what is printed, and goes
    why         why a peer does not come up
    completion  names that a shell offers
    configuration   `mobike config`: schema, show, diff
    importing   `mobike import swanctl`
    start       check and run: a configuration file in, a daemon out
    doctor      what stands in the way; checked in `checkup`, of `this_host`
    demo/       `mobike demo`

Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration, 3 the daemon cannot be reached.
"""

import gc
import sys
from typing import Final

_GC_YOUNG: Final = 50_000
"""Objects made before the collector looks at them."""


def main() -> None:
    """What `mobike` runs. Ctrl-C ends it quietly, also while it is still being read."""
    # What is read are many objects and no garbage.
    gc.set_threshold(_GC_YOUNG)
    try:
        from mobike.cli.app import main as run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    run()
