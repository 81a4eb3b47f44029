"""Text of strangers on one line, also where a process can open no file."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.printable import ascii_line, one_line

ROOT = Path(__file__).parents[2]
OPENS_NOTHING = frozenset({"ascii", "latin-1", "utf-8"})  # all others are modules that Python imports when first asked


@given(st.text())
def test_a_line_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()
    assert ascii_line(text).isascii()
    assert ascii_line(text).isprintable()
    assert ascii_line(text).encode().decode("unicode_escape") == text


WITHOUT_DESCRIPTORS = """
import resource
from trickles.gateway.log import FailureLog
from trickles.printable import one_line
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
try:
    open("/dev/null")
except OSError:
    FailureLog(lambda line: print(one_line(line)), clock=lambda: 0.0, most=1).failure("192.0.2.1", "a\\nb\\x1b\\u202e")
"""


def test_a_process_without_descriptors_can_say_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout, ended.stderr) == (r"1970-01-01T00:00:00Z 192.0.2.1: a\nb\x1b\u202e\n" + "\n", "")


def codecs(path: Path) -> set[str]:
    return set(re.findall(r"""\.(?:en|de)code\(["']([^"']+)""", path.read_text()))


@pytest.mark.parametrize("package", ["trickles", "trickleweb"])
def test_no_codec_is_imported_at_work(package: str) -> None:
    used = set().union(*map(codecs, (ROOT / package).rglob("*.py")))
    assert used
    assert used <= OPENS_NOTHING
