"""Programs of the system that a test may need: absent, they skip the test, unless all are required.

`.ci/run` installs them and requires all. What it cannot install (privileges, say) is a plain `pytest.skip`.
"""

import os
import shutil
from typing import NoReturn

import pytest

REQUIRE_ALL = "TRICKLES_REQUIRE_ALL"
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def missing(need: str) -> NoReturn:
    """Skip the running test because `need` is not there; fail it where the environment says that all must be."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"needs {need}, and {REQUIRE_ALL}=1 says that nothing may be missing", pytrace=False)
    pytest.skip(f"needs {need}")


def require(program: str) -> str:
    """Return the path of a program of the system, or call `missing`."""
    return shutil.which(program, path=SEARCH) or missing(program)
