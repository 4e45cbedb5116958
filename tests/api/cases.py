"""What is done to each call that schemathesis makes up, before it is made."""

import itertools
import re
from typing import Any

import schemathesis

from mobike_api.repeats import FORM, HEADER

NUMBERS = itertools.count()


def sent_once(case: schemathesis.Case[Any]) -> None:
    """A key of its own: chance takes the same one again, for something else. And without a tag of things as nobody has
    seen them. Tests of their own are about both (test_repeats, test_preconditions)."""
    key = case.headers.get(HEADER)
    if key is not None and re.fullmatch(FORM, str(key)):
        case.headers[HEADER] = f"case-{next(NUMBERS)}"
    for name in ("If-Match", "If-None-Match"):
        case.headers.pop(name, None)
