"""Books in a folder of their own, for as long as the tests run."""

import atexit
import tempfile
from contextlib import ExitStack
from pathlib import Path

from mobike.gateway.books import GatewayBooks

_END = ExitStack()
atexit.register(_END.close)


def some_books() -> GatewayBooks:
    folder = _END.enter_context(tempfile.TemporaryDirectory())
    books = GatewayBooks(Path(folder) / "api.db")
    _END.callback(books.close)
    return books
