"""Manifests: hashes that travel, what they are trusted for, and how wrong ones are found."""

import errno
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.file_replicas import DATA, Replica, dated
from tests.support.site_folder import fill, refuse, request, site, write
from trickleweb.cli import main
from trickleweb.files import ContentNotHere, HashPending, SiteOptions, StaticSite, digests
from trickleweb.files.digests import Hashes, digest_of, hashes_of_blocks, strong_etag
from trickleweb.files.manifest import HEADER, Manifest, ManifestError, load_manifest, manifest_line
from trickleweb.files.store import Version

Captured = pytest.CaptureFixture[str]
WRONG = bytes(len(DATA))


def blocks_of(data: bytes) -> bytes:
    """Hashes of the blocks of small files."""
    whole = [data[at : at + digests.BLOCK_BYTES] for at in range(0, len(data) or 1, digests.BLOCK_BYTES)]
    return b"".join(sha256(each).digest() for each in whole)


class Machine:
    """A replica with a manifest that says that `a` has this data."""

    def __init__(self, folder: Path, data: bytes = DATA, size_bytes: int = len(DATA)) -> None:
        self.said: list[str] = []
        self.manifest = Manifest({"a": (size_bytes, blocks_of(data))}, self.said.append)
        self.replica = Replica(folder, manifest=self.manifest)

    def look(self) -> Version:
        return self.replica.look()

    def read(self, content: str, start: int = 0, stop: int = len(DATA)) -> bytes:
        return self.replica.read(content, start, stop)


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(digests, "BLOCK_BYTES", 4000)
    monkeypatch.setattr("trickleweb.files.openfiles.BLOCK_BYTES", 4000)
    (tmp_path / "site").mkdir()
    return dated(tmp_path / "site" / "a")


def test_a_file_without_a_hash_has_its_strong_tag_at_once(file: Path) -> None:
    machine = Machine(file.parent)
    found = machine.look()
    assert (found.digest, found.settled) == (digest_of(DATA), False)
    assert machine.read(found.content) == DATA
    assert machine.read(found.content, 4100, 4200) == DATA[4100:4200]
    machine.replica.hash()
    assert machine.look().content == found.content
    assert machine.look().settled
    assert (machine.read(found.content), machine.said) == (DATA, [])


def test_another_machine_continues_a_download_before_it_has_hashed(file: Path) -> None:
    content = Machine(file.parent).look().content
    assert Machine(file.parent).read(content, 5000, 9000) == DATA[5000:9000]


def test_a_line_for_another_size_does_not_count(file: Path) -> None:
    machine = Machine(file.parent, DATA + b"more", len(DATA) + 4)
    assert (machine.look().digest, machine.said) == (None, [])


def test_a_wrong_line_gives_no_wrong_byte_and_is_used_no_more(file: Path) -> None:
    machine = Machine(file.parent, WRONG)
    content = machine.look().content
    with pytest.raises(HashPending):
        machine.read(content, 0, 10)
    assert machine.look().digest is None
    assert machine.said == ["the manifest is wrong about a: its own hash is used; make it again with `trickleweb hash`"]
    machine.replica.hash()
    assert machine.look().digest == digest_of(DATA)
    with pytest.raises(ContentNotHere):
        machine.read(content, 0, 10)


def test_one_wrong_block_stops_a_download_there(file: Path) -> None:
    machine = Machine(file.parent, DATA[:8000] + WRONG[8000:])
    content = machine.look().content
    assert machine.read(content, 0, 8000) == DATA[:8000]
    with pytest.raises(HashPending):
        machine.read(content, 7999, 8001)
    assert len(machine.said) == 1


def test_the_files_own_hash_ends_a_wrong_line_that_nobody_read_by(file: Path) -> None:
    machine = Machine(file.parent, WRONG)
    machine.look()
    machine.replica.hash()
    assert [machine.look().digest, machine.look().digest] == [digest_of(DATA)] * 2
    assert len(machine.said) == 1


def test_a_file_that_is_replaced_by_one_of_its_size_is_not_the_one_of_the_manifest(file: Path) -> None:
    machine = Machine(file.parent)
    content = machine.look().content
    assert machine.read(content) == DATA
    write(file.with_name("b"), WRONG).replace(file)
    machine.look()
    with pytest.raises(HashPending):
        machine.read(content, 0, 10)
    assert len(machine.said) == 1


def test_the_command_prints_what_is_loaded(tmp_path: Path, capsys: Captured) -> None:
    folder = fill(tmp_path / "site", {"b": b"b", "a b": DATA, "in/\udcff%\n": b"c", ".hidden": b"no", "empty": b""})
    assert main(["hash", str(folder)]) == 0
    text = capsys.readouterr().out
    (tmp_path / "manifest").write_text(text)
    loaded = load_manifest(tmp_path / "manifest", pytest.fail, above_bytes=-1)
    for path, data in {"b": b"b", "a b": DATA, "in/\udcff%\n": b"c", "empty": b""}.items():
        claimed = loaded.claim(path, len(data))
        assert claimed is not None
        assert claimed.digest == digest_of(data)
        assert loaded.claim(path, len(data) + 1) is None
    assert text.splitlines()[0] == HEADER
    assert f"{sha256(b'b').hexdigest()}  1  b" in text.splitlines()
    assert len(text.splitlines()) == 5


def test_a_file_that_cannot_be_hashed_is_left_out_and_reported(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "site", {"a": b"a", "b": b"b", "c": b"c"})
    refuse(monkeypatch, errno.EACCES, names="b")
    assert main(["hash", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert [each.rpartition(" ")[2] for each in out.splitlines()[1:]] == ["a", "c"]
    assert err.startswith("trickleweb hash: b is left out: ")
    assert err.count("\n") == 1


def line(path: str, data: bytes = b"x") -> str:
    return manifest_line(path, len(data), hashes_of_blocks(sha256(data).digest()))


BAD = {
    "empty": "",
    "another format": "# trickleweb manifest 2\n",
    "of sha256sum": f"{'0' * 64}  a\n",
    "cut": f"{HEADER}\n{line('a')}",
    "no size": f"{HEADER}\n{'0' * 64}  a\n",
    "twice": f"{HEADER}\n{line('a')}\n{line('a')}\n",
    "twice by another spelling": f"{HEADER}\n{line('a')}\n{line('a')[:-1]}%61\n",
    "too many hashes": f"{HEADER}\n{'0' * 64},{'0' * 64}  1  a\n",
    "too few hashes": f"{HEADER}\n{'0' * 64}  {1 << 30}  a\n",
    "endless size": f"{HEADER}\n{'0' * 64}  {'9' * 5000}  a\n",
    "a NUL": f"{HEADER}\n{line('a')}\0\n",
    "not ASCII": f"{HEADER}\n{line('a')}\u00e9\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_malformed_manifest_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=f"^{tmp_path}/manifest"):
        load_manifest(tmp_path / "manifest", pytest.fail, above_bytes=0)


def test_a_manifest_that_all_may_write_or_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text(f"{HEADER}\n")
    (tmp_path / "manifest").chmod(0o666)
    for path in (tmp_path / "manifest", tmp_path / "missing", tmp_path, Path("a\0b")):
        with pytest.raises(ManifestError):
            load_manifest(path, pytest.fail, above_bytes=0)


def test_small_files_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text(f"{HEADER}\n{line('a')}\n")
    assert load_manifest(tmp_path / "manifest", pytest.fail, above_bytes=1).claim("a", 1) is None


def test_hashes_have_one_block_at_least() -> None:
    assert digests.block_count(0) == digests.block_count(digests.BLOCK_BYTES) == 1
    assert hashes_of_blocks(bytes(64)) == Hashes(hashes_of_blocks(bytes(64)).digest, bytes(64))


# copies with other times


def undated(folder: Path) -> StaticSite:
    return site(folder, SiteOptions(listing=True, times=False))


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
@pytest.mark.parametrize("query", ["", "sort=time", "sort=time&order=desc", "sort=size"])
def test_listings_of_copies_with_other_times_are_equal_without_times(tmp_path: Path, kind: str, query: str) -> None:
    for name, times in {"one": (1, 2, 3), "two": (9, 8, 7)}.items():
        for file, at in zip(("a", "b", "in/c"), times, strict=True):
            write(tmp_path / name / file, b"x", at * 1_000_000)
    plans = [undated(tmp_path / name).plan(request("/", ("Accept", kind), query=query)) for name in ("one", "two")]
    assert plans[0] == plans[1]
    assert (plans[0].status, b"mtime" in repr(plans[0]).encode()) == (200, False)


def test_a_file_without_its_time_has_a_tag_alone(tmp_path: Path) -> None:
    write(tmp_path / "a", b"x")
    plan = undated(tmp_path).plan(request("/a"))
    assert plan.headers.get("Last-Modified") is None
    assert plan.headers.get("ETag") == strong_etag(digest_of(b"x"))
