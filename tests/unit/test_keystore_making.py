"""Making keys: a fleet's first ones, rotation that drops no transfer, and keys that die with their process."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.keys import IDENTITY, NOON, STRANGER, epoch, fleet, put, ring
from trickles.drivers.keystore import (
    ensure_keystore,
    ephemeral_keyring,
    files,
    fleet_identity,
    init_keystore,
    load_keyring,
    making,
    read_server_key,
    rotate_keystore,
)
from trickles.drivers.keystore.making import MAX_DELAY, MAX_KEEP, pruned
from trickles.drivers.keystore.server_key import server_key_text
from trickles.errors import KeyringError, UnknownEpoch
from trickles.handshake import identity_public, verify_certificate_untrusted
from trickles.keyring import Keyring, Purpose
from trickles.limits import SECOND
from trickleweb.cli.keykeeper import KeyKeeper


def modes(path: Path) -> dict[str, int]:
    """The mode of each file, an epoch's under the name `epoch`."""
    return {each.name.split("-")[0]: each.stat().st_mode & 0o777 for each in path.iterdir()}


def test_a_new_directory_is_private_and_complete(tmp_path: Path) -> None:
    made = init_keystore(tmp_path / "a" / "keys", now=NOON, comment="the fleet")
    assert (tmp_path / "a" / "keys").stat().st_mode & 0o777 == 0o700
    assert modes(tmp_path / "a" / "keys") == {"identity.key": 0o600, "server.pub": 0o644, "epoch": 0o600}
    assert (tmp_path / "a" / "keys" / "server.pub").read_text().endswith("= the fleet\n")
    assert load_keyring(tmp_path / "a" / "keys") == made
    assert made.newest(NOON) == made.epochs[0]


def test_the_umask_opens_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        init_keystore(tmp_path / "keys")
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert modes(tmp_path / "keys") == {"identity.key": 0o600, "server.pub": 0o644, "epoch": 0o600}


def test_the_pinned_identity_vouches_for_every_epoch(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys", now=NOON)
    pinned = read_server_key(tmp_path / "keys" / "server.pub")
    after = rotate_keystore(tmp_path / "keys", now=NOON).keyring
    assert len(after.epochs) == 2
    assert all(verify_certificate_untrusted(each.certificate, pinned) for each in after.epochs)


def test_two_fleets_have_nothing_in_common(tmp_path: Path) -> None:
    one, other = (init_keystore(tmp_path / name, now=NOON) for name in ("one", "other"))
    assert one.epochs[0].key != other.epochs[0].key
    assert fleet_identity(one) != fleet_identity(other)


@pytest.mark.parametrize("name", ["identity.key", "server.pub", "epoch-00000007.key"])
def test_a_directory_that_holds_keys_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o700)
    put(tmp_path / name, "precious")
    with pytest.raises(KeyringError, match="holds keys already; `trickles keys rotate` adds an epoch"):
        init_keystore(tmp_path)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {name: "precious"}


def test_a_directory_open_to_others_gets_no_keys(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(KeyringError, match="chmod go-rwx"):
        init_keystore(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="File exists"):
        init_keystore(put(tmp_path / "keys", ""))


def test_a_bad_comment_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="printable"):
        init_keystore(tmp_path / "keys", comment="two\nlines")
    assert not (tmp_path / "keys").exists()


def test_of_many_that_make_the_same_directory_one_wins(tmp_path: Path) -> None:
    def attempt(_: int) -> Keyring | None:
        try:
            return init_keystore(tmp_path / "keys")
        except KeyringError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [each for each in pool.map(attempt, range(8)) if each is not None]
    assert made == [load_keyring(tmp_path / "keys")]


def test_a_rotation_drops_no_transfer(tmp_path: Path) -> None:
    before = init_keystore(tmp_path / "keys", now=NOON)
    sealed = before.seal(Purpose.USER, b"connection", b"state", nonce=bytes(12), now=NOON)
    after = rotate_keystore(tmp_path / "keys", now=NOON, delay=60 * SECOND).keyring
    assert load_keyring(tmp_path / "keys") == after
    assert after.open_untrusted(Purpose.USER, b"connection", sealed) == b"state"
    until = NOON + 60 * SECOND - 1  # whoever has not read the new epoch by then opens all that the others seal
    sealed = after.seal(Purpose.USER, b"connection", b"state", nonce=bytes(12), now=until)
    assert before.open_untrusted(Purpose.USER, b"connection", sealed) == b"state"
    sealed = after.seal(Purpose.USER, b"connection", b"state", nonce=bytes(12), now=until + 1)
    with pytest.raises(UnknownEpoch):
        before.open_untrusted(Purpose.USER, b"connection", sealed)


def test_the_oldest_epochs_are_dropped(tmp_path: Path) -> None:
    keys = fleet(tmp_path / "keys", *ring(1, 2, 3).epochs)
    done = rotate_keystore(keys, now=NOON + 100 * SECOND, delay=0, keep=2)
    assert done.dropped == (1, 2)
    assert [each.identifier for each in done.keyring.epochs] == [3, done.fresh.identifier]
    assert load_keyring(keys) == done.keyring


def test_leaked_keys_are_dropped_at_once(tmp_path: Path) -> None:
    keys = fleet(tmp_path / "keys", *ring(1, 2).epochs)
    done = rotate_keystore(keys, now=NOON + 100 * SECOND, delay=0, keep=1)
    assert done.keyring == Keyring((done.fresh,)) == load_keyring(keys)


def test_the_epoch_in_force_stays_however_often_one_rotates(tmp_path: Path) -> None:
    keys = fleet(tmp_path / "keys", epoch(1))
    for _ in range(5):
        done = rotate_keystore(keys, now=NOON, delay=60 * SECOND, keep=2)
    assert load_keyring(keys).newest(NOON) == epoch(1)
    assert len(done.keyring.epochs) == 3


@given(
    offsets=st.lists(st.integers(-5, 5), min_size=1, max_size=8),
    keep=st.integers(1, 8),
)
def test_pruning_keeps_the_newest_and_never_changes_who_seals(offsets: list[int], keep: int) -> None:
    epochs = tuple(
        sorted((epoch(i, NOON + at) for i, at in enumerate(offsets)), key=lambda e: (e.not_before, e.identifier))
    )
    kept = pruned(Keyring(epochs), keep=keep, now=NOON)
    assert kept.newest(NOON) == Keyring(epochs).newest(NOON)
    assert set(epochs[-keep:]) <= set(kept.epochs) <= set(epochs)
    assert len(kept.epochs) <= keep + 1
    assert list(kept.epochs) == [each for each in epochs if each in kept.epochs]


def test_rotations_at_the_same_time_all_count(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys", now=NOON)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: rotate_keystore(tmp_path / "keys", now=NOON, keep=9), range(6)))
    held = load_keyring(tmp_path / "keys").epochs
    assert len(held) == 7
    assert {each.fresh for each in done} < set(held)


def test_a_rotation_without_the_identitys_secret_names_the_way(tmp_path: Path) -> None:
    keys = fleet(tmp_path / "keys", epoch())
    (keys / "identity.key").unlink()
    with pytest.raises(KeyringError, match=r"identity\.key is missing: rotate where the identity is kept"):
        rotate_keystore(keys)


@pytest.mark.parametrize(("mode", "size"), [(0o640, 32), (0o600, 31), (0o600, 33), (0o600, 0)])
def test_an_identity_that_is_open_or_damaged_is_refused(tmp_path: Path, mode: int, size: int) -> None:
    keys = fleet(tmp_path / "keys", epoch())
    put(keys / "identity.key", bytes(size), mode)
    with pytest.raises(KeyringError, match=r"identity\.key is (open to other users|damaged)"):
        rotate_keystore(keys)
    assert load_keyring(keys) == Keyring((epoch(),))


@pytest.mark.parametrize("public", [True, False], ids=["beside its key", "alone"])
def test_an_identity_of_another_fleet_is_refused(tmp_path: Path, public: bool) -> None:
    keys = fleet(tmp_path / "keys", epoch())
    put(keys / "identity.key", STRANGER)
    if not public:
        (keys / "server.pub").unlink()
    with pytest.raises(KeyringError, match=r"is not the identity|several fleets"):
        rotate_keystore(keys)
    assert not (keys / "server.pub").exists() or load_keyring(keys) == Keyring((epoch(),))


def test_a_rotation_completes_what_a_killed_init_began(tmp_path: Path) -> None:
    keys = fleet(tmp_path / "keys")
    (keys / "server.pub").unlink()
    put(keys / ".trickles-00112233", "half a file")
    done = rotate_keystore(keys, now=NOON, delay=0)
    assert load_keyring(keys) == Keyring((done.fresh,))
    assert (keys / "server.pub").read_text() == server_key_text(IDENTITY) + "\n"
    assert not list(keys.glob(".*"))


def test_a_full_disk_leaves_the_keyring_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    keys = fleet(tmp_path / "keys", *ring(1, 2, 3).epochs)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyringError, match="No space left"):
        rotate_keystore(keys, keep=1)
    assert load_keyring(keys) == ring(1, 2, 3)


@pytest.mark.parametrize(("delay", "keep"), [(-1, 3), (MAX_DELAY + 1, 3), (0, 0), (0, MAX_KEEP + 1)])
def test_what_no_rotation_can_be_is_refused(tmp_path: Path, delay: int, keep: int) -> None:
    keys = fleet(tmp_path / "keys", epoch())
    with pytest.raises(KeyringError, match="between now and ten years from now, and 1 to 32 are kept"):
        rotate_keystore(keys, delay=delay, keep=keep)
    assert load_keyring(keys) == Keyring((epoch(),))


def test_an_ephemeral_keyring_has_an_identity_of_its_own() -> None:
    one, other = ephemeral_keyring(now=NOON), ephemeral_keyring(now=NOON)
    assert one.newest(NOON) == one.epochs[0]
    assert fleet_identity(one) != fleet_identity(other)


@pytest.mark.parametrize("replicas", [2, 100])
def test_several_replicas_cannot_have_an_ephemeral_keyring(replicas: int) -> None:
    with pytest.raises(
        KeyringError, match=f"^{replicas} replicas need one keyring.*`trickles keys init DIR`.*--keyring DIR"
    ):
        ephemeral_keyring(replicas=replicas)


def test_the_support_fleet_is_the_one_whose_identity_it_says() -> None:
    assert fleet_identity(ring(1, 2)) == IDENTITY != identity_public(STRANGER)


@pytest.mark.parametrize("written", range(4))
def test_a_start_that_was_cut_short_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Where the disk is full, or the process is killed, after so many of the three files."""
    left = iter(range(written))

    def full(*args: Any, **options: Any) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        files.write_file(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(making, "write_file", full)
        keeper = KeyKeeper(tmp_path / "keys", None, print)
        with nullcontext() if written == 3 else pytest.raises(KeyringError, match="No space left"):
            keeper.prepare(tmp_path / "server.pub")
    identity = tmp_path / "keys" / "identity.key"
    before = identity.read_bytes() if identity.exists() else None
    keeper.prepare(tmp_path / "server.pub")
    assert before in (None, identity.read_bytes())
    ring = load_keyring(tmp_path / "keys")
    assert read_server_key(tmp_path / "server.pub") == fleet_identity(ring)
    keeper.prepare(tmp_path / "server.pub")
    assert load_keyring(tmp_path / "keys") == ring


def test_keys_without_their_identity_are_not_made_anew(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys")
    for path in (tmp_path / "keys").iterdir():
        if path.name != "server.pub":
            path.unlink()
    ensure_keystore(tmp_path / "keys")
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["server.pub"]
