"""Programs of the system that a test may need: absent, they skip the test, unless all are required."""

import os
import shutil

import pytest

REQUIRE_ALL = "TRICKLES_REQUIRE_ALL"


def missing(need: str) -> None:
    """Skip the running test because `need` is not there; fail it where the environment says that all must be."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"needs {need}, and {REQUIRE_ALL}=1 says that all needs must be met", pytrace=False)
    pytest.skip(f"needs {need}")


def require(program: str) -> str:
    """Return the path of a program of the system, or call `missing`."""
    path = shutil.which(program)
    if path is None:
        missing(program)
        raise AssertionError("missing() returned")
    return path
