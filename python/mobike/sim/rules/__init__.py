"""What must hold after every step, whatever the story.

    wire       one message id, the same octets; no more requests than the window; each probe once; no secret
    orders     no stale command is applied; an older update never wins
    traffic    the data plane is where the session is; no traffic to where nobody has proven, or policy forbids
    carried    no ESP comes before a data plane outside of the core carries its Child SA
    news       ICMP moves nothing
    resumed    what was parked goes on in another process; no IV serves twice, no packet is delivered twice
    told       events make sense and none is lost; no secret and no ERROR in what is told to people

Each rule is a class that sees everything (`base.Rule`) and says what was wrong, with when and where. What must hold in
the end, when faults have stopped, stands in `settled`. Every rule has a test that breaks it on purpose.
"""

from mobike.sim.rules.watch import Rules

__all__ = ["Rules"]
