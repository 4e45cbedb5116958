"""What all tests share: those that need IPsec in the kernel find one."""

from tests.lab.plugin import pytest_pyfunc_call, pytest_runtestloop

__all__ = ["pytest_pyfunc_call", "pytest_runtestloop"]
