import sys

import pytest

from trickles.drivers.memory import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_the_c_library_takes_the_settings() -> None:
    assert keep_freed_memory()
