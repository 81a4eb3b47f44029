"""Trust on first use: what was seen once is remembered, what differs later is refused."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.keys import IDENTITY, NOON, put
from trickles.drivers.keystore import server_key_text
from trickles.drivers.known_hosts import (
    MAX_NAME_CHARACTERS,
    Known,
    KnownHosts,
    checked_name,
    default_path,
    known,
    line_about,
    parsed_time,
    time_text,
)
from trickles.errors import IdentityError
from trickles.handshake import DAY
from trickles.limits import SECOND

NAME = "files.example:8443"
OTHER = bytes(range(32))
LINE = f"{NAME} {server_key_text(IDENTITY)} newest=1970-01-01T00:00:00Z\n"


@pytest.fixture
def hosts(tmp_path: Path) -> KnownHosts:
    return KnownHosts(tmp_path / "config" / "known_hosts")


def filled(hosts: KnownHosts, content: bytes | str) -> KnownHosts:
    """The same with a file of that content."""
    hosts.path.parent.mkdir()
    put(hosts.path, content)
    return hosts


def refusal(hosts: KnownHosts, identity: bytes = IDENTITY, name: str = NAME) -> str:
    """Why an identity is refused, in one line."""
    with pytest.raises(IdentityError) as caught:
        hosts.trust(name)(identity)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_first_identity_is_trusted_and_remembered(hosts: KnownHosts) -> None:
    assert hosts.trust(NAME)(IDENTITY) is True
    assert hosts.path.read_text() == LINE
    assert hosts.path.stat().st_mode & 0o777 == 0o600
    assert hosts.path.parent.stat().st_mode & 0o777 == 0o700
    assert KnownHosts(hosts.path).trust(NAME)(IDENTITY) is True
    assert hosts.path.read_text() == LINE


def test_asking_alone_remembers_nothing(hosts: KnownHosts) -> None:
    hosts.trust(NAME)
    assert hosts.find(NAME) == []
    assert not hosts.path.parent.exists()


def test_another_identity_is_refused_with_the_file_and_the_line(hosts: KnownHosts) -> None:
    filled(hosts, "# fleets\n\n" + LINE)
    text = refusal(hosts, OTHER)
    assert f"the identity of {NAME} has changed: {hosts.path}:3 " in text
    assert "remove that line" in text
    assert hosts.path.read_text() == "# fleets\n\n" + LINE


def test_another_identity_is_refused_even_by_who_just_accepted_the_first(hosts: KnownHosts) -> None:
    trust = hosts.trust(NAME)
    assert trust(IDENTITY)
    for _ in range(2):
        with pytest.raises(IdentityError, match="has changed"):
            trust(OTHER)
    assert trust(IDENTITY)


def newest(hosts: KnownHosts) -> list[int]:
    """What the file says of the fleet."""
    return [each.newest for each in KnownHosts(hosts.path).find(NAME)]


def test_the_start_of_the_newest_certificate_is_written_down_in_place(hosts: KnownHosts) -> None:
    filled(hosts, f"# fleets\n{LINE}other:1 trickles-ed25519 AAAA")
    note = hosts.note_start(NAME)
    assert [note(IDENTITY, start) for start in (NOON, NOON - 1, NOON + 5 * SECOND, NOON)] == [
        NOON, NOON, NOON + 5 * SECOND, NOON + 5 * SECOND
    ]  # fmt: skip
    written = LINE.replace("1970-01-01T00:00:00Z", "2027-01-15T08:00:05Z")
    assert hosts.path.read_text() == f"# fleets\n{written}other:1 trickles-ed25519 AAAA"
    assert KnownHosts(hosts.path).note_start(NAME)(IDENTITY, NOON) == NOON + 5 * SECOND
    assert KnownHosts(hosts.path).trust(NAME)(IDENTITY)


def test_what_another_process_saw_counts_at_once(hosts: KnownHosts) -> None:
    hosts.trust(NAME)(IDENTITY)
    note, other = hosts.note_start(NAME), KnownHosts(hosts.path).note_start(NAME)
    assert note(IDENTITY, NOON) == NOON
    assert other(IDENTITY, NOON + SECOND) == NOON + SECOND
    assert note(IDENTITY, NOON) == NOON + SECOND


def test_a_start_is_written_only_where_it_is_news(hosts: KnownHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.trust(NAME)(IDENTITY)
    note = hosts.note_start(NAME)
    note(IDENTITY, NOON)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened again"))
    assert note(IDENTITY, NOON) == NOON
    assert note(IDENTITY, NOON - DAY) == NOON


@pytest.mark.parametrize("comment", ["", " a fleet", " newest=", " newest=2027-13-15T08:00:00Z", " newest=x"])
def test_a_line_without_a_start_gets_one_beside_it(hosts: KnownHosts, comment: str) -> None:
    old = f"{NAME} {server_key_text(IDENTITY)}{comment}"
    filled(hosts, old)
    for start in (NOON, NOON + SECOND):
        assert hosts.note_start(NAME)(IDENTITY, start) == start
    assert hosts.path.read_text() == f"{old}\n{line_about(NAME, IDENTITY, NOON + SECOND)}\n"


def test_identities_of_one_fleet_have_starts_of_their_own(hosts: KnownHosts) -> None:
    filled(hosts, LINE + f"{line_about(NAME, OTHER, NOON)}\n")
    assert hosts.note_start(NAME)(IDENTITY, NOON - DAY) == NOON - DAY
    assert newest(hosts) == [NOON - DAY, NOON]


def test_an_identity_that_is_not_in_the_file_is_remembered_by_this_process_alone(hosts: KnownHosts) -> None:
    note = hosts.note_start(NAME)
    assert [note(IDENTITY, start) for start in (NOON, NOON - DAY)] == [NOON, NOON]
    assert not hosts.path.exists()


def test_what_cannot_be_written_is_remembered_by_this_process(hosts: KnownHosts) -> None:
    filled(hosts, LINE).path.chmod(0o666)  # which is refused
    note = hosts.note_start(NAME)
    assert [note(IDENTITY, start) for start in (NOON, NOON - DAY)] == [NOON, NOON]
    hosts.path.chmod(0o600)
    assert newest(hosts) == [0]


def test_of_many_starts_at_once_the_newest_stays(hosts: KnownHosts) -> None:
    hosts.trust(NAME)(IDENTITY)
    starts = [NOON + number * SECOND for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda start: KnownHosts(hosts.path).note_start(NAME)(IDENTITY, start), starts))
    assert all(told >= start for told, start in zip(found, starts, strict=True))
    assert newest(hosts) == [max(starts)]


@given(st.integers(0, 253_402_300_799))
def test_times_come_back_to_the_second(seconds: int) -> None:
    text = time_text(seconds * SECOND + 999_999)
    assert (len(text), parsed_time(text)) == (20, seconds * SECOND)


@pytest.mark.parametrize("text", [b"", b"2027-01-15", b"2027-02-30T08:00:00Z", b"2027-01-15T08:00:00z", b"\xff" * 20])
def test_what_is_no_time(text: bytes) -> None:
    assert parsed_time(text) is None


def test_times_that_calendars_do_not_have_are_written_as_the_nearest() -> None:
    assert time_text(-1) == b"1970-01-01T00:00:00Z"
    assert time_text(1 << 64) == b"9999-12-31T23:59:59Z"


def test_the_file_is_read_once_for_an_identity(hosts: KnownHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    trust = hosts.trust(NAME)
    trust(IDENTITY)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened again"))
    assert trust(IDENTITY) is True


def test_fleets_are_apart_and_names_have_no_case(hosts: KnownHosts) -> None:
    assert hosts.trust("A.example:1")(IDENTITY)
    assert hosts.trust("a.example:2")(OTHER)
    assert hosts.trust("[2001:DB8::1]:1")(OTHER)
    assert [each[:2] for each in hosts.find("a.EXAMPLE:1")] == [(1, IDENTITY)]
    assert [each[:2] for each in hosts.find("[2001:db8::1]:1")] == [(3, OTHER)]
    assert "has changed" in refusal(hosts, OTHER, "A.EXAMPLE:1")


def test_several_lines_are_several_right_identities(hosts: KnownHosts) -> None:
    filled(hosts, LINE + f"{NAME} {server_key_text(OTHER, 'the next one')}\r\n")
    assert hosts.trust(NAME)(IDENTITY)
    assert hosts.trust(NAME)(OTHER)
    assert f"{hosts.path}:1 " in refusal(hosts, bytes(32))


def test_a_removed_line_is_trusted_anew(hosts: KnownHosts) -> None:
    assert hosts.trust(NAME)(IDENTITY)
    put(hosts.path, "")
    assert hosts.trust(NAME)(OTHER)


DAMAGED = [
    NAME,
    f"{NAME} trickles-ed25519",
    f"{NAME} ssh-ed25519 AAAA",
    LINE[:60],
    f"{NAME} trickles-ed25519 {'!' * 44}",
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_about_the_fleet_is_no_first_use(hosts: KnownHosts, line: str) -> None:
    filled(hosts, f"# mine\n{line}\n")
    assert f"{hosts.path}:2: the line about {NAME} is damaged" in refusal(hosts)


@pytest.mark.parametrize("before", [b"\xff\xfe\0garbage\n", b"other.exam", b"other:1 trickles-ed25519 AAAA", b"\n" * 9])
def test_other_lines_do_not_matter_and_stay_as_they_are(hosts: KnownHosts, before: bytes) -> None:
    filled(hosts, before)
    assert hosts.trust(NAME)(IDENTITY)
    end = b"" if before.endswith(b"\n") else b"\n"
    assert hosts.path.read_bytes() == before + end + LINE.encode()


@given(st.binary(max_size=300))
def test_any_file_is_read_as_lines(data: bytes) -> None:
    found = known(data + b"\n" + LINE.encode(), NAME)
    assert found[-1] == Known(data.count(b"\n") + 2, IDENTITY, 0, len(data) + len(LINE) - 20)


@pytest.mark.slow
@given(st.text(max_size=30))
def test_a_name_is_one_word_that_comes_back_or_is_refused(name: str) -> None:
    try:
        word = checked_name(name)
    except IdentityError:
        assert name.split() != [name] or not (name.isascii() and name.isprintable()) or name.startswith("#")
    else:
        assert known(f"{word} {server_key_text(IDENTITY)}".encode(), word) == [Known(1, IDENTITY)]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a\n",
        "#a",
        "a\0",
        "\u00e9.example",
        "\u0130",
        "\u212a",
        "\x1b[2J",
        "a" * (MAX_NAME_CHARACTERS + 1),
    ],
)
def test_a_name_that_would_not_stay_one_word_is_refused(hosts: KnownHosts, name: str) -> None:
    with pytest.raises(IdentityError, match="cannot name a fleet"):
        hosts.trust(name)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused_with_the_fix(hosts: KnownHosts, mode: int) -> None:
    filled(hosts, LINE).path.chmod(mode)
    assert refusal(hosts).endswith(f": chmod go-w {hosts.path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(hosts: KnownHosts) -> None:
    os.chown(filled(hosts, LINE).path, 12345, -1)
    assert "belongs to user 12345" in refusal(hosts)


def test_a_fifo_is_refused_and_does_not_hang(hosts: KnownHosts) -> None:
    hosts.path.parent.mkdir()
    os.mkfifo(hosts.path, 0o600)
    assert "not a regular file" in refusal(hosts)


def test_a_directory_is_refused(hosts: KnownHosts) -> None:
    hosts.path.mkdir(parents=True)
    assert "not a regular file" in refusal(hosts)


def test_a_file_without_end_is_refused(hosts: KnownHosts) -> None:
    os.truncate(filled(hosts, LINE).path, 1 << 40)
    assert "larger than" in refusal(hosts)


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "/proc/no/known_hosts", "/dev/null/known_hosts"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, path: str) -> None:
    hosts = KnownHosts(tmp_path / path)
    assert str(tmp_path / path)[:20] in refusal(hosts).replace("'", "")


@pytest.mark.parametrize("call", ["pwrite", "open"])
def test_trust_that_cannot_be_remembered_is_none(hosts: KnownHosts, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def fail(first: str, flags: int, *rest: int) -> int:
        if call == "open" and not flags & os.O_CREAT:
            return real_open(first, flags, *rest)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    filled(hosts, "# mine\n")
    monkeypatch.setattr(os, call, fail)
    text = refusal(hosts)
    assert text.startswith(f"{hosts.path}: Read-only file system (to remember a fleet; pin it with --server-key")
    monkeypatch.undo()
    assert hosts.path.read_text() == "# mine\n"


def test_a_line_that_may_not_be_on_disk_is_taken_back(hosts: KnownHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    filled(hosts, "# mine\n")
    monkeypatch.setattr(os, "fsync", fail)
    assert "Input/output error" in refusal(hosts)
    assert hosts.path.read_text() == "# mine\n"


def test_half_a_line_is_taken_back(hosts: KnownHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    filled(hosts, "# mine\n")
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: real(descriptor, data[:10], at))
    assert "the disk is full" in refusal(hosts)
    assert hosts.path.read_text() == "# mine\n"


def test_of_many_first_uses_at_once_one_identity_wins(hosts: KnownHosts) -> None:
    def attempt(number: int) -> bytes | None:
        identity = bytes([number]) * 32
        try:
            return identity if KnownHosts(hosts.path).trust(NAME)(identity) else None
        except IdentityError:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [each for each in pool.map(attempt, range(24)) if each]
    assert [each.identity for each in hosts.find(NAME)] == winners
    assert len(winners) == 1


def test_many_fleets_at_once_are_all_remembered(hosts: KnownHosts) -> None:
    names = [f"host-{each}:1" for each in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: KnownHosts(hosts.path).trust(name)(IDENTITY), names))
    assert sorted(hosts.path.read_text().splitlines()) == sorted(
        f"{each} {LINE.split(maxsplit=1)[1].strip()}" for each in names
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/home/someone/.config/trickles/known_hosts"),
        ({"XDG_CONFIG_HOME": "/config"}, "/config/trickles/known_hosts"),
        ({"XDG_CONFIG_HOME": "relative"}, "/home/someone/.config/trickles/known_hosts"),  # to be ignored, says XDG
        ({"XDG_CONFIG_HOME": "/config", "TRICKLES_KNOWN_HOSTS": "/a/file"}, "/a/file"),
        ({"TRICKLES_KNOWN_HOSTS": ""}, "/home/someone/.config/trickles/known_hosts"),
    ],
)
def test_the_place_is_the_users_choice(environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert KnownHosts(environ=environ).path == Path(expected)
    assert KnownHosts("/chosen", environ=environ).path == Path("/chosen")


def test_without_a_home_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(IdentityError, match="set TRICKLES_KNOWN_HOSTS"):
        default_path({})
