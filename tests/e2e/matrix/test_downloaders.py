"""curl, wget and aria2, all their ways of asking: no replica's death is an event for them."""

from pathlib import Path

import pytest

from tests.support.deaths import Matrix, output
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("matrix")]

RATE = "30M"  # bytes a second: two seconds for a download
CURL = ("--silent", "--show-error", "--fail", "--limit-rate", RATE)


def test_curl_downloads(matrix: Matrix, curl: str) -> None:
    def work() -> None:
        assert output([curl, *CURL, f"{matrix.url}/large.bin"]) == matrix.large

    matrix.outlived_by(work)


def test_curl_goes_on_where_a_download_was_left(matrix: Matrix, curl: str, tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "copy").write_bytes(matrix.large[:7_000_001])
        output([curl, *CURL, "--continue-at", "-", "--output", tmp_path / "copy", f"{matrix.url}/large.bin"])
        assert (tmp_path / "copy").read_bytes() == matrix.large

    matrix.outlived_by(work)


def test_curl_asks_for_a_range(matrix: Matrix, curl: str) -> None:
    def work() -> None:
        asked = "5000001-54999999"
        assert output([curl, *CURL, "--range", asked, f"{matrix.url}/large.bin"]) == matrix.large[5_000_001:55_000_000]

    matrix.outlived_by(work)


def test_curl_asks_for_many_at_once(matrix: Matrix, curl: str, tmp_path: Path) -> None:
    last = len(matrix.small) - 1
    words = [curl, *CURL, "--limit-rate", "1M", "--parallel", "--parallel-max", len(matrix.small)]

    def work() -> None:
        output([*words, "--output", tmp_path / "#1", f"{matrix.url}/small/[0-{last}].bin"])
        assert [(tmp_path / str(index)).read_bytes() for index in range(last + 1)] == matrix.small

    matrix.outlived_by(work)


def test_wget_downloads(matrix: Matrix, tmp_path: Path) -> None:
    wget = require("wget")

    def work() -> None:
        words = [wget, "--no-verbose", "--tries=1", f"--limit-rate={RATE}", "--output-document", tmp_path / "copy"]
        output([*words, f"{matrix.url}/large.bin"], environ={"HOME": str(tmp_path)})
        assert (tmp_path / "copy").read_bytes() == matrix.large

    matrix.outlived_by(work)


def test_aria2_downloads_in_sixteen_segments(matrix: Matrix, tmp_path: Path) -> None:
    aria2c = require("aria2c")
    segments = ("--split=16", "--max-connection-per-server=16", "--min-split-size=1M", "--max-tries=1")
    quiet = ("--no-conf", "--quiet", "--allow-overwrite", "--file-allocation=none", f"--max-download-limit={RATE}")

    def work() -> None:
        output([aria2c, *segments, *quiet, f"--dir={tmp_path}", "--out=copy", f"{matrix.url}/large.bin"])
        assert (tmp_path / "copy").read_bytes() == matrix.large

    matrix.outlived_by(work)
