"""Public suites that judge HTTP/1.1 servers: a table. None is part of this repository; a user names where it lies."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PATHS = ("/", "/style.css", "/media/drop.png", "/media/pattern.mp4", "/nowhere")
SUITE_SECONDS = 120.0
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
SLOW = {
    "slow headers": "-H",
    "slow body": "-B",
    "ranges": "-R",
    "slow read": "-X -w 10 -y 20 -n 5 -z 32",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many of a suite's checks a server passed, and the names of the others."""

    passed: int
    total: int
    complaints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite: whether it lies at a path, and what it says of a server on loopback (of that port, opened there)."""

    name: str
    lies_at: Callable[[Path], bool]
    judge: Callable[[Path, int, "Load"], Verdict]


@dataclass(frozen=True, slots=True)
class Load:
    """How hard the slow clients try."""

    connections: int
    seconds: int


def said(argv: list[str], folder: Path | None = None) -> str:
    """All that a suite prints; its exit status only repeats it."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=SUITE_SECONDS, check=False)
    return COLOURS.sub("", done.stdout + done.stderr)


def h1spec(path: Path, port: int, _load: Load) -> Verdict:
    """github.com/dropseed/h1spec: without its strict checks, as it is run by default."""
    text = said([sys.executable, "-c", "import h1spec; h1spec.main()", f"127.0.0.1:{port}"], path)
    return counted(text, r"(\d+)/(\d+) passed", r"✗ \d+\. (.*)")


def http_test(path: Path, port: int, _load: Load) -> Verdict:
    """github.com/uNetworking/h1spec: two of its checks want the body of a POST back, which a program must give."""
    deno = shutil.which("deno") or "deno"
    text = said([deno, "run", "--allow-net", "http_test.ts", "127.0.0.1", str(port)], path)
    return counted(text, r"(\d+) out of (\d+) tests passed", r"❌ ([^:]*): ")


def counted(text: str, total: str, complaint: str) -> Verdict:
    """Read a report; ValueError if it is none."""
    found = re.search(total, text)
    if found is None:
        raise ValueError(f"the suite said {text[-500:]!r}")
    return Verdict(int(found[1]), int(found[2]), tuple(re.findall(complaint, text)))


def redbot(path: Path, port: int, _load: Load) -> Verdict:
    """REDbot on five paths: each passes whose notes have none of the level BAD; warnings are told too."""
    notes = [(at, *note) for at in PATHS for note in redbot_notes(path, f"http://127.0.0.1:{port}{at}")]
    told = tuple(f"{at}: {level} {name}" for at, level, name in notes if level in {"BAD", "WARN"})
    bad = {at for at, level, _ in notes if level == "BAD"}
    return Verdict(len(PATHS) - len(bad), len(PATHS), told)


def redbot_notes(path: Path, url: str) -> Iterator[tuple[str, str]]:
    """Level and name of every note on one URL."""
    text = said([str(path), "-o", "har", url])
    for entry in json.loads(text[text.index("{") : text.rindex("}") + 1])["log"]["entries"]:
        for note in entry.get("_red_messages", ()):
            yield note["level"], note["note_id"]


def slow(path: Path, port: int, load: Load) -> Verdict:
    """slowhttptest in its four modes: a mode passes if other clients were served all the time."""
    where = ["-u", f"http://127.0.0.1:{port}/media/pattern.mp4", "-p", "3", "-i", "5"]
    how = ["-c", str(load.connections), "-r", str(load.connections // 3 or 1), "-l", str(load.seconds)]
    failed = []
    for mode, words in SLOW.items():
        text = said([str(path), *words.split(), *where, *how])
        if "service available:" not in text:
            raise ValueError(f"the suite said {text[-500:]!r}")
        if re.search(r"service available:\s+NO", text):
            failed.append(mode)
    return Verdict(len(SLOW) - len(failed), len(SLOW), tuple(failed))


SUITES = (
    Suite("dropseed/h1spec", lambda path: (path / "h1spec" / "__init__.py").exists(), h1spec),
    Suite("uNetworking/h1spec", lambda path: (path / "http_test.ts").exists(), http_test),
    Suite("REDbot", lambda path: path.name == "redbot" and path.is_file(), redbot),
    Suite("slowhttptest", lambda path: path.name == "slowhttptest" and path.is_file(), slow),
)
