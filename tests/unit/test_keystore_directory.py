"""A keyring as a directory: what is read of it, and what is refused."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.keys import NOON, STRANGER, epoch, fleet, put, ring
from trickles.drivers.keystore import directory, load_keyring
from trickles.drivers.keystore.document import MAX_EPOCHS, render
from trickles.drivers.keystore.server_key import server_key_text
from trickles.errors import KeyringError
from trickles.handshake import identity_public

SEVEN = "epoch-00000007.key"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return fleet(tmp_path / "keys", *ring(9, 7, 8).epochs)


def refusal(path: Path) -> str:
    """Why the keyring is refused, in one line."""
    with pytest.raises(KeyringError) as caught:
        load_keyring(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_epochs_are_read_oldest_first(keys: Path) -> None:
    assert load_keyring(keys) == ring(9, 7, 8)
    assert load_keyring(str(keys)) == ring(9, 7, 8)


def test_replicas_need_the_epochs_only(keys: Path) -> None:
    (keys / "identity.key").unlink()
    (keys / "server.pub").unlink()
    assert load_keyring(keys) == ring(9, 7, 8)


def test_other_names_are_passed_over(keys: Path) -> None:
    for name in [
        "README",
        ".trickles-00",
        "epoch-7.key",
        "epoch-00000007.key~",
        "epoch-0000000G.key",
        "epoch-00000007",
    ]:
        put(keys / name, "no key", 0o666)
    (keys / "old").mkdir()
    assert load_keyring(keys) == ring(9, 7, 8)


@pytest.mark.parametrize("name", ["", SEVEN])
@pytest.mark.parametrize("bit", [0o040, 0o020, 0o004, 0o002])
def test_what_others_may_read_or_write_is_refused_with_the_fix(keys: Path, name: str, bit: int) -> None:
    path = keys / name if name else keys
    path.chmod(path.stat().st_mode | bit)
    assert refusal(keys).endswith(f": chmod go-rwx {path}")


def test_a_public_key_that_others_may_write_is_refused_with_the_fix(keys: Path) -> None:
    (keys / "server.pub").chmod(0o664)
    assert refusal(keys).endswith(f": chmod go-w {keys}/server.pub")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["", SEVEN, "server.pub"])
def test_what_another_user_owns_is_refused_with_the_fix(keys: Path, name: str) -> None:
    path = keys / name if name else keys
    os.chown(path, 12345, -1)
    assert refusal(keys) == f"{path} belongs to user 12345, who could change it: chown 0 {path}"


def test_a_directory_without_epochs_is_refused(tmp_path: Path) -> None:
    assert "holds no epoch: make keys with `trickles keys init`" in refusal(fleet(tmp_path / "keys"))


def test_a_missing_directory_is_refused_by_name(tmp_path: Path) -> None:
    missing = "No such file or directory: make keys with `trickles keys init`"
    assert refusal(tmp_path / "missing") == f"{tmp_path}/missing: {missing}"


@pytest.mark.parametrize("length", [0, 1, 100, 383])
def test_a_truncated_epoch_is_refused_by_name(keys: Path, length: int) -> None:
    os.truncate(keys / SEVEN, min(length, (keys / SEVEN).stat().st_size - 2))
    assert refusal(keys) == f"{keys}/{SEVEN} is damaged, or not a keyring"


def test_an_epoch_under_another_name_is_refused(keys: Path) -> None:
    (keys / SEVEN).rename(keys / "epoch-00000001.key")
    assert refusal(keys) == f"{keys}/epoch-00000001.key does not hold the one epoch that its name says"


@pytest.mark.parametrize("held", [(), (7, 8)])
def test_an_epochs_file_holds_one_epoch(keys: Path, held: tuple[int, ...]) -> None:
    put(keys / SEVEN, render(epoch(each) for each in held))
    assert "does not hold the one epoch" in refusal(keys)


def test_an_epoch_of_another_fleet_is_refused(keys: Path) -> None:
    put(keys / SEVEN, render([epoch(7, NOON, STRANGER)]))
    assert refusal(keys) == f"{keys} holds epochs of several fleets"


def test_a_public_key_of_another_fleet_is_refused(keys: Path) -> None:
    put(keys / "server.pub", server_key_text(identity_public(STRANGER)))
    assert "server.pub is not the identity that certified the epochs in " in refusal(keys)


def test_a_damaged_public_key_is_refused(keys: Path) -> None:
    put(keys / "server.pub", b"\xff\xfe")
    assert f"{keys}/server.pub holds no public identity" in refusal(keys)


@pytest.mark.parametrize("name", [SEVEN, "server.pub"])
def test_a_fifo_in_the_place_of_a_file_is_refused(keys: Path, name: str) -> None:
    (keys / name).unlink()
    os.mkfifo(keys / name, 0o600)
    assert refusal(keys) == f"{keys}/{name} is not a regular file"


@pytest.mark.parametrize("name", [SEVEN, "server.pub"])
def test_a_directory_in_the_place_of_a_file_is_refused(keys: Path, name: str) -> None:
    (keys / name).unlink()
    (keys / name).mkdir()
    assert refusal(keys) == f"{keys}/{name} is not a regular file"


@pytest.mark.parametrize("name", [SEVEN, "server.pub"])
def test_a_loop_of_links_is_refused_by_name(keys: Path, name: str) -> None:
    (keys / name).unlink()
    (keys / name).symlink_to(name)
    assert refusal(keys).startswith(f"{keys}/{name}: ")


def test_a_link_that_leads_nowhere_is_refused(keys: Path) -> None:
    (keys / SEVEN).unlink()
    (keys / SEVEN).symlink_to("gone")
    assert refusal(keys) == f"{keys} lists an epoch that does not exist: is one a dangling link?"


def test_links_are_followed_to_files_that_pass(keys: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.move(keys / SEVEN, target)
    (keys / SEVEN).symlink_to(target)
    (tmp_path / "link").symlink_to(keys)
    assert load_keyring(tmp_path / "link") == ring(9, 7, 8)
    target.chmod(0o644)
    assert refusal(tmp_path / "link").endswith(f"chmod go-rwx {tmp_path}/link/{SEVEN}")


def test_a_directory_of_too_many_epochs_is_refused(keys: Path) -> None:
    for each in range(100, 100 + MAX_EPOCHS):
        put(keys / f"epoch-{each:08x}.key", "")
    assert refusal(keys) == f"{keys} holds more than {MAX_EPOCHS} epochs"


def test_a_directory_that_is_something_else_is_not_walked_to_its_end(keys: Path) -> None:
    for each in range(1001):
        put(keys / f"file-{each}", "")
    assert refusal(keys) == "a directory of more than 1000 files holds no keys"


def test_a_rotation_between_listing_and_reading_does_no_harm(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = directory.read_inside

    def prune_first(path: Path, forbidden: int, inside: int) -> bytes:
        (keys / SEVEN).unlink(missing_ok=True)
        return real(path, forbidden, inside)

    monkeypatch.setattr(directory, "read_inside", prune_first)
    assert [each.identifier for each in load_keyring(keys).epochs] == [9, 8]
