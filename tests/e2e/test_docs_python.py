"""The page about Python clients holds: its programs are run, in order, as they stand there."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.console import blocks, moved_ports, play, renamed
from tests.support.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]


def test_the_page(tmp_path: Path) -> None:
    document = moved_ports((ROOT / "docs" / "python.md").read_text())
    found = blocks(document)
    assert {block.language for block in found} == {"sh", "console", "python"}
    for block in found:
        if block.language == "python":
            (tmp_path / block.word).write_text(block.text)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    port, udp_port, *_ = re.findall(r"127\.0\.0\.1:(\d+)", document)
    serve = "trickleweb serve site --run-dir run"
    names = {serve: f"{serve} --listen 127.0.0.1:{port} --udp 127.0.0.1:{udp_port}"}  # not the defaults
    play([renamed(block, names) for block in found if block.language == "console"], tmp_path, environ)
