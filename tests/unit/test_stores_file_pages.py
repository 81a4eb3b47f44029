"""Pages in a file: kept for others, never wrong, and never in the way."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.response_store import Pages
from trickleweb.stores import FilePages, MemoryPages
from trickleweb.stores.file_pages import MOST_AGE_S, SLOT_BYTES

MOST_FILE_BYTES = 82 << 20


def key(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def page(number: int, size: int = 5000) -> bytes:
    return (b"page %d " % number * size)[:size]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pages"


@pytest.fixture(params=["memory", "file"])
def pages(request: pytest.FixtureRequest, path: Path) -> Iterator[Pages]:
    if request.param == "memory":
        yield MemoryPages()
        return
    opened = FilePages(path)
    yield opened
    opened.close()


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 70_000, 1 << 20])
def test_what_was_put_is_there(pages: Pages, size: int) -> None:
    pages.put(key(1), page(1, size))
    assert pages.get(key(1)) == page(1, size)
    assert pages.get(key(2)) is None


def test_the_last_page_of_a_key_counts(pages: Pages) -> None:
    for number in range(40):
        pages.put(key(1), page(number))
    assert pages.get(key(1)) == page(39)


def test_other_replicas_find_it(path: Path) -> None:
    here, there = FilePages(path), FilePages(path)
    here.put(key(1), page(1))
    here.close()
    assert there.get(key(1)) == page(1)
    there.close()


def test_hundreds_of_pages_are_kept_at_once(path: Path) -> None:
    pages = FilePages(path)
    for number in range(400):
        pages.put(key(number), page(number))
    assert all(pages.get(key(number)) == page(number) for number in range(400))
    pages.close()


def test_the_newest_pages_stay_and_the_file_is_bounded(path: Path) -> None:
    clock = Clock()
    pages = FilePages(path, clock=clock)
    for number in range(4200):
        clock.at += 0.001
        pages.put(key(number), page(number, 16))
    pages.put(key(-1), page(1, 1 << 20))
    assert all(pages.get(key(number)) == page(number, 16) for number in range(4000, 4200))
    assert path.stat().st_size <= MOST_FILE_BYTES
    pages.close()


def test_a_page_is_forgotten_after_a_minute(path: Path) -> None:
    clock = Clock()
    pages = FilePages(path, clock=clock)
    pages.put(key(1), page(1))
    clock.at += MOST_AGE_S
    assert pages.get(key(1)) == page(1)
    clock.at += 1
    assert pages.get(key(1)) is None
    clock.at = 5.0  # after another boot
    assert pages.get(key(1)) is None
    pages.put(key(2), page(2))
    assert pages.get(key(2)) == page(2)
    pages.close()


def test_what_is_too_long_or_has_no_key_is_not_kept(path: Path) -> None:
    pages = FilePages(path)
    pages.put(key(1), bytes(SLOT_BYTES[-1] + 1))
    pages.put(b"short", b"page")
    pages.put(b"", b"page")
    assert [pages.get(each) for each in (key(1), b"short", b"", bytes(32))] == [None] * 4
    pages.close()


def test_the_file_is_private_and_one_open_to_others_is_not_used(path: Path) -> None:
    pages = FilePages(path)
    assert path.stat().st_mode & 0o777 == 0o600
    pages.put(key(1), page(1))
    path.chmod(0o644)
    other = FilePages(path)
    assert other.get(key(1)) is None
    other.put(key(1), page(2))
    assert pages.get(key(1)) == page(1)
    path.chmod(0o600)
    other.look()
    assert other.get(key(1)) == page(1)
    pages.close()
    other.close()


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_other_things_in_its_place_have_no_pages(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(path.parent / "elsewhere")
    else:
        os.mkfifo(path, 0o600)
    pages = FilePages(path)
    pages.put(key(1), page(1))
    assert pages.get(key(1)) is None
    pages.close()


def test_a_removed_file_is_made_again(path: Path) -> None:
    pages = FilePages(path)
    pages.put(key(1), page(1))
    path.unlink()
    pages.look()
    assert pages.get(key(1)) is None
    pages.put(key(1), page(1))
    assert FilePages(path).get(key(1)) == page(1)
    pages.close()


def test_a_full_disk_keeps_nothing_and_raises_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = FilePages(path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    pages.put(key(1), page(1))
    monkeypatch.undo()
    assert pages.get(key(1)) is None
    pages.close()


def test_a_short_write_keeps_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, write = FilePages(path), os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: write(descriptor, data[:100], at))
    pages.put(key(1), page(1))
    monkeypatch.undo()
    assert pages.get(key(1)) is None
    pages.close()


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 60), st.integers(0, 20_000)),
            st.tuples(st.just("damage"), st.integers(0, 3 << 20), st.integers(1, 300)),
            st.tuples(st.just("cut"), st.integers(0, 3 << 20), st.just(0)),
        ),
        max_size=30,
    )
)
def test_a_damaged_file_gives_right_pages_or_none(steps: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pages"
        pages, known = FilePages(path), dict[int, bytes]()
        for word, where, size in steps:
            if word == "put":
                known[where] = page(where + size, size)
                pages.put(key(where), known[where])
            elif word == "cut":
                os.truncate(path, where)
            else:
                with path.open("r+b") as file:
                    file.seek(where)
                    file.write(os.urandom(size))
        for number, data in known.items():
            assert pages.get(key(number)) in (data, None)
        pages.close()
