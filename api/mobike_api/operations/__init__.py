"""One order about many: IKE SAs, connections, all that use a link, all peers of the gateway.

kinds      what can be ordered, of whom, and which events tell how it ended
progress   how far an operation is
aims       who is meant, giving the order, and looking whether it has been obeyed
run        one operation from its beginning to its end; all of them
"""

from mobike_api.operations.kinds import Kind, Order, Selection
from mobike_api.operations.progress import MOST_FAILURES, Operation, Phase
from mobike_api.operations.run import MOST_AWAITED, MOST_KEPT, MOST_RUNNING, Operations

__all__ = [
    "MOST_AWAITED",
    "MOST_FAILURES",
    "MOST_KEPT",
    "MOST_RUNNING",
    "Kind",
    "Operation",
    "Operations",
    "Order",
    "Phase",
    "Selection",
]
