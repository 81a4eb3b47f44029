"""A compressed sibling is believed for what is in it, not for its name."""

import gzip
import os
from pathlib import Path

import pytest

from tests.support.site_folder import MODIFIED_S, body, fill, packed, request, store
from trickleweb.files import SiteOptions, StaticSite, StoreLimits
from trickleweb.files.representations import is_of_coding

PLAIN = b"let x = 1;\n" * 200
ZSTD = b"\x28\xb5\x2f\xfd"


def frame(descriptor: int, fields: bytes, blocks: bytes = b"\x01\x00\x00") -> bytes:
    """A Zstandard frame (RFC 8878 3.1.1) with an empty last block."""
    return ZSTD + bytes((descriptor,)) + fields + blocks


SIZE = len(PLAIN)
BELIEVED = {
    "gzip": ("gz", packed(PLAIN)),
    "gzip with a name": ("gz", b"\x1f\x8b\x08\x08" + packed(PLAIN)[4:10] + b"x.js\0" + packed(PLAIN)[10:]),
    "zstd, two bytes of size": ("zst", frame(0x60, (SIZE - 256).to_bytes(2, "little"))),
    "zstd, four bytes of size": ("zst", frame(0x80, b"\x58" + SIZE.to_bytes(4, "little"))),
    "zstd, eight bytes of size": ("zst", frame(0xE0, SIZE.to_bytes(8, "little"))),
    "zstd, a dictionary": ("zst", frame(0x63, b"\x01\x02\x03\x04" + (SIZE - 256).to_bytes(2, "little"))),
    "zstd that does not say": ("zst", frame(0x00, b"\x58")),
    "zstd after a frame of its own": ("zst", b"\x51\x2a\x4d\x18\x01\x00\x00\x00x" + frame(0x00, b"\x58")),
    "brotli": ("br", b"\x1b\x97\x08\x00 a stream"),
}
DOUBTED = {
    "empty gzip": ("gz", b""),
    "short gzip": ("gz", packed(PLAIN)[:12]),
    "cut gzip": ("gz", packed(PLAIN)[:-1]),
    "gzip of another version": ("gz", packed(PLAIN + b"more")),
    "text called gz": ("gz", b"not packed at all, and not as long as the file"),
    "zstd called gz": ("gz", frame(0x60, (SIZE - 256).to_bytes(2, "little")) + bytes(20)),
    "deflate called gz": ("gz", packed(PLAIN)[10:]),
    "empty zstd": ("zst", b""),
    "magic alone": ("zst", ZSTD),
    "zstd of another version": ("zst", frame(0x60, (SIZE - 255).to_bytes(2, "little"))),
    "zstd, one byte of size": ("zst", frame(0x20, b"\xff")),
    "gzip called zst": ("zst", packed(PLAIN)),
    "empty brotli": ("br", b""),
    "too little brotli": ("br", b"\x3b"),
    "gzip called br": ("br", packed(PLAIN)),
    "zstd called br": ("br", frame(0x00, b"\x58")),
    "as long as the file": ("br", b"\x1b" + bytes(SIZE - 1)),
}
SIZES = pytest.mark.parametrize("limits", [StoreLimits(), StoreLimits(small_bytes=0)], ids=["in memory", "on disk"])
CODINGS = {"gz": "gzip", "zst": "zstd", "br": "br"}


def answer(root: Path, limits: StoreLimits) -> tuple[str | None, bytes]:
    files = store(root, limits=limits)
    plan = StaticSite(files).plan(request("/app.js", ("accept-encoding", "gzip, br, zstd")))
    data = body(files, plan)
    files.close()
    return plan.headers.get("Content-Encoding"), data


@SIZES
@pytest.mark.parametrize("name", BELIEVED)
def test_what_is_of_its_coding_is_sent(tmp_path: Path, name: str, limits: StoreLimits) -> None:
    suffix, data = BELIEVED[name]
    fill(tmp_path, {"app.js": PLAIN, f"app.js.{suffix}": data})
    assert answer(tmp_path, limits) == (CODINGS[suffix], data)


@SIZES
@pytest.mark.parametrize("name", DOUBTED)
def test_what_is_not_is_passed_over(tmp_path: Path, name: str, limits: StoreLimits) -> None:
    suffix, data = DOUBTED[name]
    fill(tmp_path, {"app.js": PLAIN, f"app.js.{suffix}": data})
    assert answer(tmp_path, limits) == (None, PLAIN)


@pytest.mark.parametrize(("late_s", "coding"), [(-1, None), (0, "gzip"), (1, "gzip")])
def test_one_that_is_older_than_its_file_is_passed_over(tmp_path: Path, late_s: int, coding: str | None) -> None:
    fill(tmp_path, {"app.js": PLAIN, "app.js.gz": packed(PLAIN)})
    os.utime(tmp_path / "app.js.gz", (MODIFIED_S + late_s, MODIFIED_S + late_s))
    assert answer(tmp_path, StoreLimits())[0] == coding


def test_a_file_of_more_than_4_gib_is_counted_round(tmp_path: Path) -> None:
    data = gzip.compress(b"x" * 300, mtime=0)
    assert is_of_coding("gzip", len(data), 300 + (1 << 32), lambda start, stop: data[start:stop])


def test_one_that_is_doubted_is_looked_at_again_when_it_changes(tmp_path: Path) -> None:
    fill(tmp_path, {"app.js": PLAIN, "app.js.gz": b"x" * 40})
    files = store(tmp_path)
    folder, ask = StaticSite(files, SiteOptions()), request("/app.js", ("accept-encoding", "gzip"))
    assert "Content-Encoding" not in folder.plan(ask).headers
    fill(tmp_path, {"app.js.gz": packed(PLAIN)})
    assert folder.plan(ask).headers.get("Content-Encoding") == "gzip"
    files.close()
