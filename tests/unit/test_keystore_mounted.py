"""Keyrings as secrets that Kubernetes mounts, and as credentials of systemd: what is read, and how changes are seen."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.keys import NOON, epoch, put, ring
from trickles.drivers.keystore import KeyringSource, files, keyring_text, load_keyring, save_keyring
from trickles.drivers.keystore.document import render
from trickles.drivers.keystore.files import PRIVATE
from trickles.drivers.keystore.source import CREDENTIAL, VARIABLE
from trickles.errors import KeyringError
from trickles.keyring import Epoch, Keyring

ONE, TWO = "epoch-00000001.key", "epoch-00000002.key"


class Mount:
    """A mounted secret, as the kubelet writes it: a folder with the files of one state, a link to it, links to them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path
        path.mkdir(mode=0o755)

    def write(self, **data: bytes) -> None:
        """Write the files of a new state; nothing leads to them yet."""
        self.state = self.path / f"..state{len(list(self.path.iterdir()))}"
        self.state.mkdir(mode=0o755)
        for name, content in data.items():
            put(self.state / name, content, 0o400)

    def switch(self) -> None:
        """Turn the link to that state, and add links of new names."""
        (self.path / "..new").symlink_to(self.state.name)
        (self.path / "..new").rename(self.path / "..data")
        for each in self.state.iterdir():
            if not (self.path / each.name).is_symlink():
                (self.path / each.name).symlink_to(f"..data/{each.name}")

    def put(self, *epochs: Epoch) -> None:
        self.write(**{f"epoch-{each.identifier:08x}.key": render([each]) for each in epochs})
        self.switch()


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    made = Mount(tmp_path / "keys")
    made.put(epoch(1))
    return made


def test_a_mounted_secret_is_read_although_others_may_list_it(mount: Mount) -> None:
    assert load_keyring(mount.path) == Keyring((epoch(1),))
    assert load_keyring(mount.path / ONE) == Keyring((epoch(1),))


def test_a_rotation_is_the_turn_of_one_link(mount: Mount) -> None:
    source = KeyringSource(mount.path)
    after = Keyring((epoch(1), epoch(2, NOON + 1)))
    mount.write(**{ONE: render([after.epochs[0]]), TWO: render([after.epochs[1]])})
    assert source.changed() is None
    mount.switch()
    assert source.changed() == after
    assert source.changed() is None


def test_names_that_are_not_removed_yet_do_not_count(mount: Mount) -> None:
    source = KeyringSource(mount.path)
    mount.put(epoch(2))
    assert (mount.path / ONE).is_symlink()  # it leads nowhere
    assert source.changed() == Keyring((epoch(2),))


def test_a_file_of_a_secret_is_watched_too(mount: Mount) -> None:
    mount.write(ring=render(ring(1).epochs))
    mount.switch()
    source = KeyringSource(mount.path / "ring")
    mount.write(ring=render(ring(1, 2).epochs))
    mount.switch()
    assert source.changed() == ring(1, 2)


def test_a_state_that_is_removed_while_it_is_read_gives_way_to_the_next(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, list_names = mount.state, files.names

    def names(place: Path | int) -> list[str]:
        found = list_names(place)
        if mount.state == old:  # the first listing
            mount.put(epoch(1), epoch(2, NOON + 1))
            shutil.rmtree(old)
        return found

    monkeypatch.setattr("trickles.drivers.keystore.directory.names", names)
    assert load_keyring(mount.path) == Keyring((epoch(1), epoch(2, NOON + 1)))


def world_readable(mount: Mount) -> None:
    mount.write(**{ONE: render([epoch(1)])})
    (mount.state / ONE).chmod(0o644)
    mount.switch()


def world_writable(mount: Mount) -> None:
    mount.path.chmod(0o1777)


def cut(mount: Mount) -> None:
    mount.write(**{ONE: render([epoch(1)])[:100]})
    mount.switch()


def emptied(mount: Mount) -> None:
    mount.write()
    mount.switch()


def leading_nowhere(mount: Mount) -> None:
    mount.state.rename(mount.path / "..gone")


BREAKS: dict[Callable[[Mount], None], str] = {
    world_readable: r"open to other users \(mode 0644\): .*; of a Kubernetes secret set defaultMode: 0440, and fsGroup",
    world_writable: r"can be changed by other users \(mode 1777\)",
    cut: "is damaged, or not a keyring",
    emptied: "holds no epoch",
    leading_nowhere: "No such file or directory",
}


@pytest.mark.parametrize("damage", BREAKS)
def test_a_bad_state_keeps_the_keys_of_the_one_before(mount: Mount, damage: Callable[[Mount], None]) -> None:
    said: list[str] = []
    source = KeyringSource(mount.path, report=said.append)
    damage(mount)
    assert [source.changed(), source.changed(), source.keyring] == [None, None, Keyring((epoch(1),))]
    assert len(said) == 1
    with pytest.raises(KeyringError, match=BREAKS[damage]):
        load_keyring(mount.path)


def test_modes_that_let_others_write_do_not_count_on_a_read_only_mount(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    world_writable(mount)  # as a tmpfs of Kubernetes is
    values = list(os.statvfs(mount.path))[:10]
    values[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(values))
    assert load_keyring(mount.path) == Keyring((epoch(1),))


def fault(mode: int, owner: int, group: int) -> str | None:
    status = os.stat_result((0o100000 | mode, 1, 1, 1, owner, group, 0, 0, 0, 0))
    return files.fault(status, Path("it"), PRIVATE)


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_root_may_give_a_secret_to_a_group_of_this_process(mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", lambda: [1000, 2000])
    assert fault(mode, 0, 2000) is None
    assert fault(mode, 0, 1000) is None
    assert fault(mode, 0, 0) is None  # the access list of a credential
    for refused in (fault(mode, 0, 3000), fault(mode, 1000, 2000), fault(mode | 0o020, 0, 2000), fault(0o444, 0, 2000)):
        assert refused is not None
        assert "open to other users" in refused


def test_root_reads_a_secret_of_its_pods_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    monkeypatch.setattr(os, "getgroups", lambda: [0, 2000])
    assert [fault(0o440, 0, 2000), fault(0o440, 0, 0) is None] == [None, False]


def test_a_credential_is_the_keyring_of_a_unit_that_names_none(tmp_path: Path) -> None:
    unit = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(KeyringError, match="no keyring given"):
        load_keyring(environ=unit)
    save_keyring(ring(1), tmp_path / CREDENTIAL)
    assert load_keyring(environ=unit) == ring(1)
    assert load_keyring(environ=unit | {VARIABLE: keyring_text(ring(2))}) == ring(2)
    source = KeyringSource(environ=unit)
    save_keyring(ring(1, 2), tmp_path / CREDENTIAL)
    assert source.changed() == ring(1, 2)


@pytest.mark.parametrize("place", ["", "a\0b", "/dev/null"])
def test_a_strange_place_of_credentials_is_none(place: str) -> None:
    with pytest.raises(KeyringError, match="no keyring given"):
        load_keyring(environ={"CREDENTIALS_DIRECTORY": place})
