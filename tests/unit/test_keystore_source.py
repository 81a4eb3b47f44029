"""Where a keyring comes from, and how a running process learns of a new one."""

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.keys import NOON, epoch, fleet, put, ring
from trickles.drivers.keystore import KeyringSource, keyring_text, load_keyring, rotate_keystore, save_keyring
from trickles.drivers.keystore.document import render
from trickles.drivers.keystore.source import VARIABLE
from trickles.errors import KeyringError
from trickles.keyring import Keyring


class Watch:
    """A source on a directory of one epoch, and what it reported."""

    def __init__(self, path: Path) -> None:
        self.path = fleet(path, epoch(1))
        self.told: list[str] = []
        self.source = KeyringSource(self.path, report=self.told.append)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "keys")


def test_a_saved_file_is_private_and_read_again(tmp_path: Path) -> None:
    save_keyring(ring(1, 2), tmp_path / "ring")
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600
    assert load_keyring(tmp_path / "ring") == ring(1, 2)


def test_a_file_open_to_others_is_refused_with_the_fix(tmp_path: Path) -> None:
    path = put(tmp_path / "ring", render(ring(1).epochs), 0o644)
    with pytest.raises(KeyringError, match=f"chmod go-rwx {path}$"):
        load_keyring(path)


def test_a_file_without_epochs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="holds no epoch"):
        load_keyring(put(tmp_path / "ring", render([])))


@pytest.mark.parametrize("path", ["/dev/null", "missing", "", "a\0b"])
def test_what_is_no_keyring_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(put(tmp_path / "x", "").parent)
    with pytest.raises(KeyringError):
        load_keyring(path)


def test_the_environment_holds_a_keyring() -> None:
    assert load_keyring(environ={VARIABLE: keyring_text(ring(1, 2))}) == ring(1, 2)
    assert load_keyring(environ={VARIABLE: f"  {keyring_text(ring(1, 2))}\n"}) == ring(1, 2)


def test_a_path_wins_over_the_environment(tmp_path: Path) -> None:
    keys = fleet(tmp_path / "keys", epoch(1))
    assert load_keyring(keys, environ={VARIABLE: "nonsense"}) == Keyring((epoch(1),))


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}, {VARIABLE: " \n"}])
def test_no_keyring_at_all_names_the_way_to_one(environ: dict[str, str]) -> None:
    with pytest.raises(KeyringError, match="no keyring given: make one with `trickles keys init DIR`"):
        load_keyring(environ=environ)


SECRET_TEXT = keyring_text(ring(1))
HOSTILE = {
    "cut": SECRET_TEXT[:-5],
    "cut between groups": SECRET_TEXT[:-8],
    "not base64": "/etc/trickles/keys",
    "base64 of something else": base64.b64encode(b"hello").decode(),
    "letters outside ASCII": "\u2603" * 10,
    "bytes that are no text": os.fsdecode(b"\xff\xfe"),
    "endless": "A" * 200_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_variable_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(KeyringError, match=f"^{VARIABLE} ") as caught:
        load_keyring(environ={VARIABLE: text})
    assert text[:20] not in str(caught.value)


@given(st.text(max_size=100))
def test_any_variable_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(KeyringError):
        load_keyring(environ={VARIABLE: text})


def test_nothing_changed_until_something_did(watch: Watch) -> None:
    assert watch.source.keyring == Keyring((epoch(1),))
    assert watch.source.changed() is None
    done = rotate_keystore(watch.path)
    assert watch.source.changed() == done.keyring == watch.source.keyring
    assert watch.source.changed() is None
    assert (watch.source.problem, watch.told) == (None, [])


def test_nothing_is_read_while_nothing_changes(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trickles.drivers.keystore.source.load_keyring", lambda _: pytest.fail("read again"))
    assert [watch.source.changed() for _ in range(3)] == [None] * 3


def test_an_epoch_edited_in_place_is_seen(watch: Watch) -> None:
    path = watch.path / "epoch-00000001.key"
    put(path, render([epoch(1, NOON + 5)]))
    os.utime(path, ns=(1, 1))
    assert watch.source.changed() == Keyring((epoch(1, NOON + 5),))


def test_a_touch_is_no_change(watch: Watch) -> None:
    os.utime(watch.path / "epoch-00000001.key", ns=(1, 1))
    assert watch.source.changed() is None


def replaced_by_a_file(path: Path) -> None:
    """Put a file where the directory was."""
    shutil.rmtree(path)
    put(path, "")


def crowded(path: Path) -> None:
    """Fill the directory with other files."""
    for each in range(1001):
        put(path / str(each), "")


BREAKS: dict[str, Callable[[Path], object]] = {
    "damaged": lambda path: put(path / "epoch-00000001.key", "{"),
    "open to others": lambda path: put(path / "epoch-00000001.key", render([epoch(1)]), 0o644),
    "in an open directory": lambda path: put(path / "server.pub", "").parent.chmod(0o755),
    "beside an epoch of nobody": lambda path: put(path / "epoch-00000002.key", "{}"),
    "empty": lambda path: (path / "epoch-00000001.key").unlink(),
    "gone": shutil.rmtree,
    "a file instead": replaced_by_a_file,
    "beside a public key that all may write": lambda path: put(path / "server.pub", "what?", 0o666),
    "crowded": crowded,
}


@pytest.mark.parametrize("damage", BREAKS.values(), ids=BREAKS)
def test_a_keyring_that_breaks_is_kept_and_reported_once(watch: Watch, damage: Callable[[Path], object]) -> None:
    damage(watch.path)
    assert [watch.source.changed() for _ in range(3)] == [None] * 3
    assert watch.source.keyring == Keyring((epoch(1),))
    assert watch.told == [watch.source.problem]
    assert watch.told[0].endswith("(the keyring read before stays in use)")
    shutil.rmtree(watch.path, ignore_errors=True)
    watch.path.unlink(missing_ok=True)
    fleet(watch.path, epoch(1), epoch(2, NOON + 1))
    assert watch.source.changed() == Keyring((epoch(1), epoch(2, NOON + 1)))
    assert watch.source.problem is None


def test_a_keyring_mended_to_what_it_was_is_no_change(watch: Watch) -> None:
    watch.path.chmod(0o755)
    watch.source.changed()
    watch.path.chmod(0o700)
    assert watch.source.changed() is None
    assert watch.source.problem is None


def test_a_new_problem_is_reported_too(watch: Watch) -> None:
    watch.path.chmod(0o755)
    watch.source.changed()
    watch.path.chmod(0o750)
    watch.source.changed()
    assert ["0755" in watch.told[0], "0750" in watch.told[1], len(watch.told)] == [True, True, 2]


def test_problems_go_to_the_log_by_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = fleet(tmp_path / "keys", epoch(1))
    source = KeyringSource(keys)
    keys.chmod(0o755)
    source.changed()
    assert [(each.name, each.levelname, each.message) for each in caplog.records] == [
        ("trickles.keyring", "WARNING", source.problem)
    ]


def test_a_file_is_watched_too(tmp_path: Path) -> None:
    save_keyring(ring(1), tmp_path / "ring")
    source = KeyringSource(tmp_path / "ring")
    save_keyring(ring(1, 2), tmp_path / "ring")
    assert source.changed() == ring(1, 2)


def test_a_link_that_is_turned_to_another_directory_is_seen(tmp_path: Path) -> None:
    fleet(tmp_path / "one", epoch(1))
    fleet(tmp_path / "two", epoch(1), epoch(2, NOON + 1))
    link = tmp_path / "link"
    link.symlink_to("one")
    source = KeyringSource(link)
    link.unlink()
    link.symlink_to("two")
    assert source.changed() == load_keyring(tmp_path / "two")


def test_the_environment_never_changes() -> None:
    source = KeyringSource(environ={VARIABLE: SECRET_TEXT})
    assert (source.keyring, source.changed()) == (ring(1), None)


def test_a_source_begins_with_a_good_keyring_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="No such file"):
        KeyringSource(tmp_path / "missing")
