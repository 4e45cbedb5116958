"""Policy: which pair of addresses should carry an SA, and why. Pure functions of what is known now.

How to read on: `connection` is what the operator wrote; `links` gives local addresses their order; `pairs` says which
pairs are legal at all; `knowledge` is what was learned of them, and how it ages; `score` orders the legal ones, best
first; `choose` decides, with a reason for a person; `schedule` says when pairs are tested, `chance` spreads that.

Promises: the same situation always gives the same answer, whatever order its parts come in; a working pair is never
left without a reason; an illegal pair is never chosen. Nothing here knows a clock, a socket, an event or a command.
"""
