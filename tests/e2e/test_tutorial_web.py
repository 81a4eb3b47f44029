"""The web tutorial holds: its programs and sessions are run, in order, as they stand there."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.console import blocks, moved_ports, play, renamed
from tests.support.processes import ROOT
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("serve")]
PAGE = ROOT / "docs" / "tutorial-web.md"


def test_the_tutorial(tmp_path: Path) -> None:
    require("curl")
    document = moved_ports(PAGE.read_text())
    found = blocks(document)
    for block in found:
        if block.language in ("python", "html"):
            path = tmp_path / block.word
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    port, udp_port, *_ = re.findall(r"127\.0\.0\.1:(\d+)", document)
    where = f"--run-dir run --listen 127.0.0.1:{port} --udp 127.0.0.1:{udp_port}"  # not the defaults
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    sessions = [block for block in found if block.language == "console"]
    play([renamed(block, {":app --run-dir run": f":app {where}"}) for block in sessions], tmp_path, environ)


def test_nothing_in_the_tutorial_is_left_out() -> None:
    found = blocks(PAGE.read_text())
    assert {block.language for block in found} == {"console", "python", "html"}
    assert all(block.word for block in found if block.language != "console")
