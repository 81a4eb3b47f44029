"""Certificates of a gateway: what is refused and why, and how a change of the files is noticed."""

import os
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import Authority, Pair
from trickles.errors import CertificateError
from trickles.gateway.certificates import Certificates, server_context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_context_speaks_modern_tls_only(authority: Authority) -> None:
    pair = authority.issue()
    context = server_context(pair.certificate, pair.key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert names
    assert all("GCM" in name or "CHACHA20" in name for name in names)
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in names)


def refusal(pair: Pair) -> str:
    """Why that pair cannot be used."""
    with pytest.raises(CertificateError) as caught:
        server_context(pair.certificate, pair.key)
    return str(caught.value)


def test_what_cannot_be_used_is_named_with_what_mends_it(authority: Authority, tmp_path: Path) -> None:
    pair, other = authority.issue(), authority.issue("other")
    assert "the key does not belong to the certificate" in refusal(Pair(pair.certificate, other.key))
    assert "No such file" in refusal(Pair(tmp_path / "absent.pem", pair.key))
    assert "No such file" in refusal(Pair(pair.certificate, tmp_path / "absent.key"))
    assert "is encrypted" in refusal(authority.issue("locked", password=b"word"))
    (tmp_path / "junk.pem").write_text("junk")
    assert f"{tmp_path}/junk.pem and {pair.key}: " in refusal(Pair(tmp_path / "junk.pem", pair.key))
    assert "is not a regular file" in refusal(Pair(tmp_path, pair.key))
    pair.key.chmod(0o640)
    assert f"chmod go-rwx {pair.key}" in refusal(pair)
    pair.key.chmod(0o600)
    pair.certificate.chmod(0o666)
    assert f"chmod go-w {pair.certificate}" in refusal(pair)


def looks(found: Certificates) -> list[bool]:
    """Whether the context changed at each of three looks."""
    changes = []
    for _ in range(3):
        before = found.context
        found.look()
        changes.append(found.context is not before)
    return changes


def test_a_change_is_read_once_the_files_rest(authority: Authority) -> None:
    pair, told = authority.issue(), list[str]()
    found = Certificates(pair.certificate, pair.key, report=told.append)
    assert looks(found) == [False, False, False]
    authority.issue()
    assert looks(found) == [False, True, False]
    assert told == []


def test_bad_files_leave_the_old_context_in_use_and_are_told_once(authority: Authority) -> None:
    pair, told = authority.issue(), list[str]()
    found = Certificates(pair.certificate, pair.key, report=told.append)
    kept, good = found.context, pair.key.read_bytes()
    pair.key.write_bytes(authority.issue("other").key.read_bytes())
    assert looks(found) == [False, False, False]
    found.reload()
    pair.key.unlink()
    assert looks(found) == [False, False, False]
    assert [text.partition(": ")[2] for text in told] == [
        "the key does not belong to the certificate (the certificate read before stays in use)",
        "No such file or directory (the certificate read before stays in use)",
    ]
    assert found.context is kept
    descriptor = os.open(pair.key, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, good)
    os.close(descriptor)
    assert looks(found) == [False, True, False]
    assert told[2:] == [f"{pair.certificate} can be used again"]
