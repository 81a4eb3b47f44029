"""git, pip, apt, ffmpeg and a browser, for which HTTP is a means: no replica's death is an event for them."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import offerings
from tests.support.browser import browser
from tests.support.deaths import Matrix, output
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("matrix")]

PAYLOAD_BYTES = 30_000_000


def emptied(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def test_git_clones_over_dumb_http(matrix: Matrix, site: Path, tmp_path: Path) -> None:
    git, payload = require("git"), offerings.bytes_of("git", PAYLOAD_BYTES)
    head = offerings.repository(site / "repo.git", payload)

    def work() -> None:
        clone = emptied(tmp_path / "clone")
        output([git, "clone", "--quiet", f"{matrix.url}/repo.git", clone], environ=offerings.GIT_ENVIRON)
        assert output([git, "rev-parse", "HEAD"], clone, offerings.GIT_ENVIRON).decode().strip() == head
        assert output([git, "status", "--porcelain"], clone, offerings.GIT_ENVIRON) == b""
        assert (clone / "payload.bin").read_bytes() == payload

    matrix.outlived_by(work)


def test_pip_installs_from_an_index(matrix: Matrix, site: Path, tmp_path: Path) -> None:
    payload = offerings.bytes_of("pip", PAYLOAD_BYTES)
    offerings.wheel(site / "simple", payload)
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir"]
    options = ["--quiet", "--no-deps", "--retries", 0, "--index-url", f"{matrix.url}/simple/"]

    def work() -> None:
        target = emptied(tmp_path / "target")
        output([*pip, "install", *options, "--target", target, offerings.WHEEL_NAME], environ=NO_SETTINGS_OF_PIP)
        assert (target / offerings.WHEEL_NAME / "payload.bin").read_bytes() == payload

    matrix.outlived_by(work)


NO_SETTINGS_OF_PIP = {"PIP_CONFIG_FILE": "/dev/null"}


def test_apt_downloads_from_a_repository(matrix: Matrix, site: Path, tmp_path: Path) -> None:
    apt_get = require("apt-get")
    package = offerings.deb(site / "debian", offerings.bytes_of("apt", PAYLOAD_BYTES))

    def work() -> None:
        root = emptied(tmp_path / "root")
        apt = [apt_get, *private(root, f"deb [trusted=yes] {matrix.url}/debian ./")]
        output([*apt, "update"], root)
        output([*apt, "download", offerings.DEB_NAME], root)
        assert (root / package.name).read_bytes() == package.read_bytes()

    matrix.outlived_by(work)


def private(root: Path, source: str) -> list[str]:
    """Options by which apt-get touches nothing outside `root`, and knows that one source."""
    for folder in ("etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "dpkg"):
        (root / folder).mkdir(parents=True)
    (root / "etc/apt/sources.list").write_text(source + "\n")
    (root / "dpkg/status").touch()
    settings = {
        "Dir": root,
        "Dir::State::status": root / "dpkg/status",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "APT::Sandbox::User": "",
        "Acquire::Retries": 0,
        "Acquire::Languages": "none",
        "Acquire::http::Proxy": "DIRECT",
    }
    return ["-q", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]


def test_ffmpeg_seeks_in_a_film(matrix: Matrix, site: Path) -> None:
    ffmpeg = require("ffmpeg")
    offerings.film(site / "film.mp4")

    def picture(place: object, second: int) -> bytes:
        how = ("-frames:v", 1, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        return output([ffmpeg, "-v", "error", "-ss", second, "-i", place, *how])

    def work() -> None:
        for second in (50, 10, 35):
            assert picture(f"{matrix.url}/film.mp4", second) == picture(site / "film.mp4", second)

    matrix.outlived_by(work)


DIGEST = """fetch("/large.bin").then(answer => answer.arrayBuffer()).then(data => crypto.subtle.digest("SHA-256", data))
.then(digest => Array.from(new Uint8Array(digest), each => each.toString(16).padStart(2, "0")).join(""))"""


def test_a_browser_fetches(matrix: Matrix, site: Path, tmp_path: Path) -> None:
    (site / "page.html").write_text("<!DOCTYPE html><title>page</title>")
    expected = hashlib.sha256(matrix.large).hexdigest()
    with browser(require("chromium"), tmp_path) as page:
        page.visit(f"{matrix.url}/page.html")

        def work() -> None:
            assert page.evaluate(DIGEST) == expected

        matrix.outlived_by(work)
