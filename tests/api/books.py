"""Books in a folder of their own: for as long as the test that opens them, or all tests if none does."""

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mobike.gateway.books import GatewayBooks

_ENDS = [ExitStack()]
"""What to close; the last is for what is opened now."""
atexit.register(_ENDS[0].close)


def some_books() -> GatewayBooks:
    folder = _ENDS[-1].enter_context(tempfile.TemporaryDirectory())
    books = GatewayBooks(Path(folder) / "api.db")
    _ENDS[-1].callback(books.close)
    return books


@contextmanager
def closing() -> Iterator[None]:
    """Close what is opened within: each holds a thread and three descriptors."""
    with ExitStack() as end:
        _ENDS.append(end)
        try:
            yield
        finally:
            _ENDS.remove(end)
