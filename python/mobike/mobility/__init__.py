"""Mobility: the state machines of one IKE SA that can move. Pure: what happened goes in, what to do comes out.

How to read on: `session` is our view of one SA; `states` names what it awaits; `causes` are the inputs, events and a
few more; `surroundings` is all that a machine may ask and say; `initiator`, `responder` and `fixed` are the transition
tables (an absent pair of state and cause is a bug, and says so); `machine` picks the table. `folded` keeps small what
is only shown to people.

Promises: outputs of one step never depend on each other; an answer to an older decision changes nothing (its generation
tells); a pair that works is left only when the new one has answered, unless policy says otherwise.
"""
