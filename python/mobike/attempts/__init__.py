"""Why did it not come up? The last attempts of each peer: what was asked for beside what is taken, and what to do.

    attempt   one attempt, as it is kept
    book      facts in, attempts kept: a few for each peer, whatever strangers do
    reading   facts as attempts: who began, at which step it ended, by whose doing
    remedy    the one-line fix

Pure: no clock, no sockets. Times are seconds since the epoch and come in as arguments.
"""

from mobike.attempts.attempt import Attempt, Ending, Fault, Line
from mobike.attempts.book import AttemptBook

__all__ = ["Attempt", "AttemptBook", "Ending", "Fault", "Line"]
