"""What all tests share: those that need IPsec in the kernel find one."""

from tests.lab.plugin import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_configure_node,
    pytest_pyfunc_call,
    pytest_runtestloop,
    pytest_unconfigure,
)

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_pyfunc_call",
    "pytest_runtestloop",
    "pytest_unconfigure",
]
