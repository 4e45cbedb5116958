"""What tests of the API share."""

from collections.abc import Iterator

import pytest

from tests.api.books import closing


@pytest.fixture(autouse=True)
def _closed_books() -> Iterator[None]:
    with closing():
        yield
