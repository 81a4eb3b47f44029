"""The README holds: its sessions and examples are run as they stand there, its commands and links exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import check, commands
from tests.support.console import Block, blocks, moved_ports, play, renamed
from tests.support.processes import ROOT
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
BIN = Path(sys.executable).parent
ENVIRON = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def readme(heading: str) -> list[Block]:
    """The blocks of one section, on ports that are free."""
    document = moved_ports((ROOT / "README.md").read_text())
    return blocks(document.partition(f"## {heading}\n")[2].partition("\n## ")[0])


def test_breaking_it_as_the_readme_says(tmp_path: Path) -> None:
    require("make")
    require("curl")
    if not all((BIN.parent / stamp).exists() for stamp in (".made", ".installed")):
        pytest.skip("this environment was not made by make, which would make one now")
    sessions = readme("Try to break it")
    port, udp_port, *_ = re.findall(r"127\.0\.0\.1:(\d+)", sessions[1].text)
    options = f"VENV={BIN.parent} PORT={port} UDP_PORT={udp_port} RUN_DIR={tmp_path}/.run"
    names = {"make serve": f"make --no-print-directory -C {ROOT} serve {options}", "/tmp/try": f"{tmp_path}/try"}
    play([renamed(block, names) for block in sessions], tmp_path, ENVIRON)


def test_the_example_is_a_service_that_outlives_its_replica(tmp_path: Path) -> None:
    found = readme("Write a service")
    for block in found:
        if block.language == "python":
            (tmp_path / block.word).write_text(block.text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["client.py", "squares.py"]
    play([block for block in found if block.language == "console"], tmp_path, ENVIRON)


def test_the_web_application_resumes(tmp_path: Path) -> None:
    program, session = readme("Write a web application")
    (tmp_path / program.word).write_text(program.text)
    play([session], tmp_path, ENVIRON)


@pytest.mark.parametrize("target", ["serve", "test", "check", "bench", "demo", "format", "docs"])
def test_what_can_be_made(target: str) -> None:
    done = subprocess.run([require("make"), "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout


@pytest.mark.parametrize(("site", "word"), [("a b", "'a b'"), ("~/site", "'/home/me/site'"), ("a~/b", "'a~/b'")])
def test_a_folder_to_serve_may_have_blanks_and_begin_at_home(site: str, word: str) -> None:
    words = [require("make"), "-n", "serve", f"SITE={site}", "HOME=/home/me"]
    assert f"serve {word} " in subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


COMMANDS = [words for path in DOCUMENTS for words in commands(path.read_text())]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_line_in_the_docs_has_options_that_exist(words: list[str]) -> None:
    check(words)


def test_the_command_lines_of_the_docs_are_found() -> None:
    assert len(COMMANDS) > 5
    with pytest.raises(SystemExit):
        check(["trickleweb", "serve", "--no-such-option"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    places = [link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())]
    for name, _, anchor in places:
        if name.startswith(("http:", "https:", "mailto:")):
            continue
        target = path.parent / name if name else path
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


def anchors(path: Path) -> set[str]:
    """The anchors that headings get (as GitHub makes them)."""
    headings = re.findall(r"^#+ +(.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
