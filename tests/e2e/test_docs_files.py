"""The page about serving files holds: its sessions are run, in order, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.console import blocks, moved_ports, play, renamed
from tests.support.processes import ROOT
from tests.support.system import require
from trickleweb.files import SiteOptions
from trickleweb.files.metadata import is_hashed
from trickleweb.files.options import MAX_PARTS
from trickleweb.files.paths import MAX_NAME_BYTES, MAX_PATH_BYTES
from trickleweb.files.ranges import MAX_SPECS
from trickleweb.limits import DEFAULT_LIMITS
from trickleweb.server.planned import UNWANTED_BYTES

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

PAGE = (ROOT / "docs" / "files.md").read_text()


def test_the_page(tmp_path: Path) -> None:
    require("curl")
    document = moved_ports(PAGE)
    found = blocks(document)
    assert [block.language for block in found[:2]] == ["sh", "console"]
    subprocess.run(["sh", "-eu"], input=found[0].text, text=True, cwd=tmp_path, check=True)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    port, udp_port, *_ = re.findall(r"127\.0\.0\.1:(\d+)", document)
    serve = "trickleweb serve site --run-dir run"
    names = {serve: f"{serve} --listen 127.0.0.1:{port} --udp 127.0.0.1:{udp_port}"}  # not the defaults
    play([renamed(block, names) for block in found[1:]], tmp_path, environ)


def test_its_figures_are_those_of_the_source() -> None:
    limits, options = DEFAULT_LIMITS, SiteOptions()
    figures = [MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_SPECS, MAX_PARTS, options.max_entries, UNWANTED_BYTES]
    figures += [limits.max_request_line_bytes, limits.max_header_bytes, limits.max_headers]
    for figure in figures:
        assert re.search(rf"\b{figure:,}\b", PAGE), figure
    assert is_hashed("any/app.3f2a9c1b.js")
    assert all(is_hashed(f"{folder}/app-BZ4kq8sR.js") for folder in re.findall(r"`(assets|static|_\w+)`", PAGE))
    assert not is_hashed("any/app-BZ4kq8sR.js")
