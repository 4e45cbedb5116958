"""What all tests share: those that need IPsec in the kernel find one; Hypothesis tries the same examples each time.

`pytest --hypothesis-profile chance` lets it try others.
"""

import gc
import signal

from hypothesis import settings

from tests.lab.plugin import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_configure_node,
    pytest_pyfunc_call,
    pytest_runtest_makereport,
    pytest_runtestloop,
    pytest_unconfigure,
)

__all__ = [
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_pyfunc_call",
    "pytest_runtest_makereport",
    "pytest_runtestloop",
    "pytest_unconfigure",
]

# A shell ignores Ctrl-C for what it runs in the background, and all that begins there does.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadlines: how long an example takes says how busy the machine is.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("chance", deadline=None)
settings.load_profile("same")


def pytest_collection_finish() -> None:
    """What is there now stays to the end: the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
