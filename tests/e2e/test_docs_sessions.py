"""The pages whose sessions a reader types: they are run, in order, as they stand there."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.console import Block, blocks, moved_ports, play, renamed
from tests.support.processes import ROOT
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

DOCS = ROOT / "docs"
LAST = "## Look at a trickle\n"
CAPTURED = "until trickles dump -r trickle.pcap 2>&1 | grep -q RESPONSE; do :; done"  # a busy machine takes its time


def run(found: list[Block], folder: Path, shown: str, meant: str) -> None:
    """Play the sessions, where what is shown means something else: ports that are not the defaults."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    play([renamed(block, {shown: meant}) for block in found if block.language == "console"], folder, environ)


def ports(document: str) -> str:
    """The options that name the first two ports of a page."""
    port, udp_port, *_ = re.findall(r"127\.0\.0\.1:(\d+)", document)
    return f"--listen 127.0.0.1:{port} --udp 127.0.0.1:{udp_port}"


def write_programs(found: list[Block], folder: Path) -> None:
    """Write what a page shows as files."""
    for block in found:
        if block.language in ("python", "html"):
            path = folder / block.word
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)


@pytest.mark.slow
def test_the_tutorial(tmp_path: Path) -> None:
    require("curl")
    document, ending, last = moved_ports((DOCS / "tutorial.md").read_text()).partition(LAST)
    assert ending
    may_capture = os.geteuid() == 0 and find_spec("scapy") is not None and require("tcpdump")
    found = blocks(document)
    if may_capture:
        fetch = re.compile(r"^\$ curl .*/hello\.txt$", re.MULTILINE)
        last, count = fetch.subn(lambda found: f"{found[0]}; {CAPTURED}", last)
        assert count == 1
        found += blocks(last)
    serve = "trickleweb serve site --run-dir run"
    run(found, tmp_path, serve, f"{serve} {ports(document)}")


@pytest.mark.slow
def test_the_web_tutorial(tmp_path: Path) -> None:
    require("curl")
    document = moved_ports((DOCS / "tutorial-web.md").read_text())
    found = blocks(document)
    write_programs(found, tmp_path)
    run(found, tmp_path, ":app --run-dir run", f":app --run-dir run {ports(document)}")


def test_the_page_about_python_clients(tmp_path: Path) -> None:
    document = moved_ports((DOCS / "python.md").read_text())
    found = blocks(document)
    assert {block.language for block in found} == {"sh", "console", "python"}
    write_programs(found, tmp_path)
    serve = "trickleweb serve site --run-dir run"
    run(found, tmp_path, serve, f"{serve} {ports(document)}")


@pytest.mark.slow
def test_nothing_in_the_tutorial_is_left_out() -> None:
    found = blocks((DOCS / "tutorial.md").read_text())
    assert {block.language for block in found} == {"sh", "console"}
    assert [block.text.startswith("git clone") for block in found if block.language == "sh"] == [True]


@pytest.mark.slow
def test_nothing_in_the_web_tutorial_is_left_out() -> None:
    found = blocks((DOCS / "tutorial-web.md").read_text())
    assert {block.language for block in found} == {"console", "python", "html"}
    assert all(block.word for block in found if block.language != "console")
