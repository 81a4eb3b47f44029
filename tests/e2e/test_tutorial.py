"""The tutorial holds: all its sessions are run, in order, as they stand there."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.console import blocks, moved_ports, play, renamed
from tests.support.processes import ROOT
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("serve")]

LAST = "## Look at a trickle\n"
CAPTURED = "until trickles dump -r trickle.pcap 2>&1 | grep -q RESPONSE; do :; done"  # a busy machine takes its time


def test_the_tutorial(tmp_path: Path) -> None:
    require("curl")
    document, ending, last = moved_ports((ROOT / "docs" / "tutorial.md").read_text()).partition(LAST)
    assert ending
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    may_capture = os.geteuid() == 0 and find_spec("scapy") is not None and require("tcpdump")
    found = blocks(document)
    if may_capture:
        fetch = re.compile(r"^\$ curl .*/hello\.txt$", re.MULTILINE)
        last, count = fetch.subn(lambda found: f"{found[0]}; {CAPTURED}", last)
        assert count == 1
        found += blocks(last)
    port, udp_port, *_ = re.findall(r"127\.0\.0\.1:(\d+)", document)
    serve = "trickleweb serve site --run-dir run"
    names = {serve: f"{serve} --listen 127.0.0.1:{port} --udp 127.0.0.1:{udp_port}"}  # not the defaults
    play([renamed(block, names) for block in found if block.language == "console"], tmp_path, environ)


def test_nothing_in_the_tutorial_is_left_out() -> None:
    found = blocks((ROOT / "docs" / "tutorial.md").read_text())
    assert {block.language for block in found} == {"sh", "console"}
    assert [block.text.startswith("git clone") for block in found if block.language == "sh"] == [True]
