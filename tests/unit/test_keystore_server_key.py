"""The public identity as text: what clients pin."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.keys import IDENTITY, put
from trickles.drivers.keystore import read_server_key, server_key_text, write_server_key
from trickles.errors import KeyringError

LINE = server_key_text(IDENTITY)


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read(identity: bytes) -> None:
    assert read_server_key(server_key_text(identity, "of the fleet")) == identity


def test_the_line_has_three_fields() -> None:
    assert server_key_text(bytes(32), "made today") == "trickles-ed25519 " + "A" * 43 + "= made today"


@pytest.mark.parametrize(
    "text",
    [
        f"{LINE}\n",
        f"{LINE}\r\n",
        f"\n# the fleet in Oslo\n\n{LINE} comment, of several words\n",
        f"  {LINE}",
        f"\t{LINE}",
    ],
)
def test_blanks_comments_and_line_ends_do_not_matter(tmp_path: Path, text: str) -> None:
    assert read_server_key(put(tmp_path / "server.pub", text, 0o644)) == IDENTITY


def test_a_written_file_is_for_everybody_to_read(tmp_path: Path) -> None:
    write_server_key(tmp_path / "server.pub", IDENTITY, "fleet")
    assert (tmp_path / "server.pub").stat().st_mode & 0o777 == 0o644
    assert read_server_key(str(tmp_path / "server.pub")) == IDENTITY


def test_a_file_cannot_be_written_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="No such file or directory"):
        write_server_key(tmp_path / "missing" / "server.pub", IDENTITY)


@pytest.mark.parametrize("length", range(len(LINE)))
def test_a_line_cut_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(KeyringError, match="no public identity"):
        read_server_key(put(tmp_path / "server.pub", LINE[:length], 0o644))


HOSTILE = {
    "nothing": "",
    "another algorithm": LINE.replace("trickles", "ssh"),
    "a secret, not a public key": bytes(range(32)).decode("latin-1"),
    "too long": "trickles-ed25519 " + "A" * 44 + "A" * 43 + "=",
    "no base64": "trickles-ed25519 " + "!" * 44,
    "letters outside ASCII": "trickles-ed25519 " + "\u00e9" * 44,
    "two keys": f"{LINE}\n{LINE}\n",
    "a web page": "<!DOCTYPE html>\n<title>404</title>",
    "larger than any key": "#" * 70_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_its_name_and_none_of_its_content(tmp_path: Path, text: str) -> None:
    path = put(tmp_path / "server.pub", text, 0o644)
    with pytest.raises(KeyringError) as caught:
        read_server_key(path)
    assert str(path) in str(caught.value)
    assert not text or text not in str(caught.value)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_in_one_way(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = put(tmp_path_factory.getbasetemp() / "any.pub", data, 0o644)
    with pytest.raises(KeyringError):
        read_server_key(path)


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match=r"chmod o-w"):
        read_server_key(put(tmp_path / "server.pub", LINE, 0o666))


@pytest.mark.parametrize("path", ["missing.pub", "trickles", "", ".", "a\0b"])
def test_what_is_no_file_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyringError):
        read_server_key(path)


@pytest.mark.parametrize("comment", ["two\nlines", "a\0b", "\x1b[2J", "x" * 201])
def test_a_comment_cannot_make_another_line(comment: str) -> None:
    with pytest.raises(KeyringError, match="printable"):
        server_key_text(IDENTITY, comment)


def test_an_identity_of_another_length_is_refused() -> None:
    with pytest.raises(KeyringError, match="32 bytes"):
        server_key_text(bytes(31))
