"""The tus protocol: each extension, and each lie of a client."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.uploads import BYTES, TUS, Uploads, checksum
from trickleweb.tus import UploadLimits, UploadRecord, metadata
from trickleweb.tus.fields import MOST

LIMITS = UploadLimits(upload_bytes=1000, request_bytes=600, total_bytes=2000, uploads=5, metadata_bytes=64, parts=2)
NOWHERE = f"/files/{'0' * 32}"


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", LIMITS)


def test_the_server_says_what_it_can(uploads: Uploads) -> None:
    for path in ("/files/", NOWHERE):
        answer = uploads.client.options(path)
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
        assert answer.headers["tus-max-size"] == "1000"
        assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,sha512"
        for extension in ("creation", "creation-with-upload", "expiration", "checksum", "termination", "concatenation"):
            assert extension in answer.headers["tus-extension"].split(",")


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.0, 1.0.0"])
def test_another_version_is_refused(uploads: Uploads, version: str | None) -> None:
    headers = {"Upload-Length": "5"} if version is None else {"Upload-Length": "5", "Tus-Resumable": version}
    answer = uploads.client.post("/files/", headers=headers)
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    assert uploads.client.patch(NOWHERE, headers=headers).status_code == 412


def test_an_upload_in_pieces(uploads: Uploads) -> None:
    path = uploads.made(10, Upload_Metadata="filename YS50eHQ=,empty")
    for at, piece in ((0, b"12345"), (5, b"678"), (8, b""), (8, b"90")):
        answer = uploads.patch(path, at, piece)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(at + len(piece)))
        assert answer.headers["tus-resumable"] == "1.0.0"
    head = uploads.head(path)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("10", "10")
    assert head.headers["upload-metadata"] == "filename YS50eHQ=,empty"
    assert head.headers["cache-control"] == "no-store"
    assert uploads.data(path) == b"1234567890"
    [record] = uploads.finished
    assert metadata(record.metadata) == {"filename": b"a.txt", "empty": b""}


def test_creation_takes_the_first_bytes_or_all(uploads: Uploads) -> None:
    answer = uploads.create(10, b"12345")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")
    assert uploads.offset(answer.headers["location"]) == 5
    assert uploads.create(5, b"12345", Upload_Checksum=checksum(b"12345")).headers["upload-offset"] == "5"
    assert uploads.create(4, b"12345").status_code == 413
    assert len(uploads.finished) == 1


def test_an_empty_upload_is_finished_at_once(uploads: Uploads) -> None:
    uploads.made(0)
    assert len(uploads.finished) == 1


@pytest.mark.parametrize("offset", [0, 4, 6, 10, 11])
def test_a_wrong_offset_changes_nothing(uploads: Uploads, offset: int) -> None:
    path = uploads.made(10)
    uploads.patch(path, 0, b"12345")
    answer = uploads.patch(path, offset, b"abc")
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "5")
    assert uploads.data(path) == b"12345"


@pytest.mark.parametrize("offset", ["", "-1", "+5", "5.0", "0x5", " 5 5", "\u0665", "1" * 20, str(MOST + 1)])
def test_an_offset_that_is_no_count_is_refused(uploads: Uploads, offset: str) -> None:
    path = uploads.made(10)
    headers = [*BYTES.items(), ("Upload-Offset", offset.encode().decode("latin-1"))]
    assert uploads.client.patch(path, headers=headers, content=b"x").status_code == 400
    assert uploads.client.patch(path, headers=BYTES, content=b"x").status_code == 400
    assert uploads.offset(path) == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "1e3"}, 400),
        ({"Upload-Length": "1001"}, 413),
        ({"Upload-Length": str(MOST)}, 413),
        ({"Upload-Length": "1" * 30}, 400),
        ({"Upload-Defer-Length": "0"}, 400),
        ({"Upload-Defer-Length": "1", "Upload-Length": "5"}, 400),
        ({"Upload-Length": "5", "Upload-Concat": "half"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename"}, 201),
        ({"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "a !!"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "a YQ==,,b YQ=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "\xe4 YQ=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "a YQ== YQ=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": f"a {'YWFh' * 20}"}, 413),
    ],
)
def test_creations_that_are_malformed_or_too_long(uploads: Uploads, fields: dict[str, str], status: int) -> None:
    assert uploads.client.post("/files/", headers={**TUS, **fields}).status_code == status


def test_more_bytes_than_announced_are_refused(uploads: Uploads) -> None:
    path = uploads.made(4)
    assert uploads.patch(path, 0, b"12345").status_code == 413
    answer = uploads.client.patch(path, headers={**BYTES, "Upload-Offset": "0"}, content=[b"123", b"45"])  # in chunks
    assert answer.status_code == 413
    assert uploads.patch(path, 0, b"1234").status_code in (204, 409)
    assert uploads.patch(path, 4, b"5").status_code == 413
    assert uploads.data(path) == b"1234" or uploads.offset(path) == 0


def test_a_body_over_the_bound_of_requests_is_refused(uploads: Uploads) -> None:
    path = uploads.made(1000)
    assert uploads.patch(path, 0, bytes(601)).status_code == 413
    assert uploads.offset(path) == 0


def test_another_content_type_is_refused(uploads: Uploads) -> None:
    path = uploads.made(4)
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "text/plain"}
    assert uploads.client.patch(path, headers=headers, content=b"1234").status_code == 415


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_checksum_is_verified_before_any_byte_counts(uploads: Uploads, algorithm: str) -> None:
    path = uploads.made(10)
    assert uploads.patch(path, 0, b"abcde", Upload_Checksum=checksum(b"12345", algorithm)).status_code == 460
    assert uploads.offset(path) == 0
    assert uploads.patch(path, 0, b"12345", Upload_Checksum=checksum(b"12345", algorithm)).status_code == 204
    assert uploads.patch(path, 5, b"", Upload_Checksum=checksum(b"", algorithm)).status_code == 204
    assert uploads.data(path) == b"12345"


@pytest.mark.parametrize("text", ["sha1", "crc32 AAAA", "sha1 !!", "sha1 YQ==", "", f"md5 {'A' * 24}"])
def test_a_malformed_or_unknown_checksum_is_refused(uploads: Uploads, text: str) -> None:
    path = uploads.made(10)
    assert uploads.patch(path, 0, b"12345", Upload_Checksum=text).status_code == 400
    assert uploads.offset(path) == 0


def test_a_length_may_follow_and_never_changes(uploads: Uploads) -> None:
    path = uploads.made(None)
    head = uploads.head(path)
    assert head.headers["upload-defer-length"] == "1"
    assert "upload-length" not in head.headers
    assert uploads.patch(path, 0, b"12345").status_code == 204
    assert uploads.patch(path, 5, b"6", Upload_Length="4").status_code == 413
    assert uploads.patch(path, 5, b"6", Upload_Length="1001").status_code == 413
    assert uploads.patch(path, 5, b"6", Upload_Length="8").status_code == 204
    assert uploads.patch(path, 6, b"78", Upload_Length="9").status_code == 400
    assert uploads.patch(path, 6, b"78", Upload_Length="8").status_code == 204
    assert uploads.store.path(path[7:]).read_bytes() == b"12345678"
    assert len(uploads.finished) == 1


def test_a_deferred_length_has_the_bound_of_uploads(uploads: Uploads) -> None:
    path = uploads.made(None)
    assert uploads.patch(path, 0, bytes(600)).status_code == 204
    assert uploads.patch(path, 600, bytes(401)).status_code == 413


def test_termination(uploads: Uploads) -> None:
    path = uploads.made(4)
    assert uploads.client.delete(path, headers=TUS).status_code == 204
    for answer in (uploads.head(path), uploads.patch(path, 0, b"1"), uploads.client.delete(path, headers=TUS)):
        assert answer.status_code == 404


@pytest.mark.parametrize("path", [NOWHERE, "/files/x", "/files/..%2F..", f"/files/{'A' * 32}"])
def test_unknown_uploads(uploads: Uploads, path: str) -> None:
    assert uploads.head(path).status_code in (400, 404)
    assert uploads.patch(path, 0, b"x").status_code in (400, 404)


def test_methods_may_be_named_by_a_field(uploads: Uploads) -> None:
    path = uploads.made(4)
    headers = {**BYTES, "Upload-Offset": "0"}
    answer = uploads.client.post(path, headers={**headers, "X-HTTP-Method-Override": "PATCH"}, content=b"1234")
    assert answer.status_code == 204
    assert uploads.client.post(path, headers=headers).status_code == 405
    assert uploads.client.post(path, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert uploads.head(path).status_code == 404


def test_expiration(uploads: Uploads) -> None:
    path, done = uploads.made(4), uploads.create(2, b"12").headers["location"]
    assert uploads.patch(path, 0, b"1").headers["upload-expires"].endswith("GMT")
    record = uploads.store.find(path[7:])
    assert record.expires_s is not None
    assert "upload-expires" not in uploads.head(done).headers
    with recorded(uploads, replace(record, expires_s=1)):
        for answer in (uploads.head(path), uploads.patch(path, 1, b"1")):
            assert answer.status_code == 410
    assert uploads.store.sweep(record.expires_s) == 1
    assert uploads.head(path).status_code == 404
    assert uploads.head(done).status_code == 200


@contextmanager
def recorded(uploads: Uploads, record: UploadRecord) -> Iterator[None]:
    """Give an upload that record within the block."""
    before = uploads.store.find(record.id)
    for each in (record, before):
        upload = uploads.store.open(record.id)
        upload.commit(each)
        upload.close()
        if each is record:
            yield


def part(uploads: Uploads, data: bytes, length: int | None = None) -> str:
    return uploads.create(length or len(data), data, Upload_Concat="partial").headers["location"]


def joined(uploads: Uploads, *parts: str) -> int:
    return uploads.client.post("/files/", headers={**TUS, "Upload-Concat": f"final;{' '.join(parts)}"}).status_code


def test_concatenation(uploads: Uploads) -> None:
    first, second = part(uploads, b"12345"), part(uploads, b"678")
    assert uploads.finished == []
    assert uploads.head(first).headers["upload-concat"] == "partial"
    concat = f"final;http://testserver{first} {second}"
    answer = uploads.client.post("/files/", headers={**TUS, "Upload-Concat": concat})
    assert answer.status_code == 201
    final = answer.headers["location"]
    head = uploads.head(final)
    assert head.headers["upload-concat"] == f"final;{first} {second}"
    assert (head.headers["upload-length"], head.headers["upload-offset"]) == ("8", "8")
    assert uploads.data(final) == b"12345678"
    assert [record.id for record in uploads.finished] == [final[7:]]
    assert uploads.patch(final, 8, b"9").status_code == 403
    assert uploads.patch(final, 8, b"").status_code == 403


def test_concatenations_that_are_refused(uploads: Uploads) -> None:
    whole, unfinished = part(uploads, b"123"), part(uploads, b"12", 4)
    no_part = uploads.create(3, b"123").headers["location"]
    for parts in (
        [whole, unfinished],
        [whole, no_part],
        [whole, NOWHERE],
        [],
        [whole, whole, whole],  # more than two
        ["/other/" + whole[7:]],
        ["http://[x/files/" + whole[7:]],
        ["/files/../" + whole[7:]],
        [whole[7:]],
    ):
        assert joined(uploads, *parts) == 400, parts
    assert joined(uploads, whole, whole) == 201


def test_parts_longer_than_an_upload_may_be(uploads: Uploads) -> None:
    parts = [part(uploads, bytes(501)) for _ in range(2)]
    assert joined(uploads, *parts) == 413


def test_quotas_are_for_all_uploads(uploads: Uploads, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    uploads.made(1000)
    path = uploads.made(999)
    assert uploads.create(2).status_code == 507
    assert uploads.client.delete(path, headers=TUS).status_code == 204
    for _ in range(4):
        uploads.made(0)
    assert uploads.create(0).status_code == 507


def test_a_deferred_length_counts_for_the_quota(uploads: Uploads, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    paths = [uploads.made(None) for _ in range(3)]
    for path in paths[:2]:
        assert uploads.patch(path, 0, b"12345").status_code == 204
    answer = uploads.patch(paths[2], 0, b"12345")
    assert answer.status_code == 507
    assert answer.text.endswith("The share of all uploads is used up.\n")
    assert uploads.offset(paths[2]) == 0
    assert uploads.patch(paths[0], 5, b"6", Upload_Length="6").status_code == 204  # gives back the rest
    assert uploads.create(994).status_code == 201
    assert uploads.create(1).status_code == 507


def test_another_request_at_work_locks_the_upload(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trickleweb.tus.appending._PATIENT_TRIES", 2)
    monkeypatch.setattr("trickleweb.tus.appending._PAUSE_S", 0)
    path = uploads.made(4)
    held = uploads.store.open(path[7:])
    assert uploads.patch(path, 0, b"1234").status_code == 423
    assert uploads.client.delete(path, headers=TUS).status_code == 423
    assert uploads.offset(path) == 0
    held.close()
    assert uploads.patch(path, 0, b"1234").status_code == 204


def test_a_failing_finish_is_called_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    failures = [OSError("no"), OSError("no")]
    seen = []

    def finish(record: UploadRecord) -> None:
        if failures:
            raise failures.pop()
        seen.append(record.id)

    uploads = Uploads(tmp_path, finish=finish)
    path = uploads.made(4)
    assert uploads.patch(path, 0, b"1234").status_code == 500
    assert uploads.head(path).status_code == 500
    assert uploads.head(path).status_code == uploads.head(path).status_code == 200
    assert seen == [path[7:]]
    uploads.store.path(path[7:]).rename(tmp_path / "moved")
    assert uploads.offset(path) == 4
    assert uploads.patch(path, 4).status_code == 204
    assert seen == [path[7:]]


def test_the_folder_can_be_unusable(uploads: Uploads, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = uploads.made(4)
    (tmp_path / "uploads").rename(tmp_path / "gone")
    for answer in (uploads.head(path), uploads.patch(path, 0, b"1"), uploads.create(4)):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert str(tmp_path) not in answer.text
    assert "No such file or directory" in caplog.text
    (tmp_path / "gone").rename(tmp_path / "uploads")
    assert uploads.patch(path, 0, b"1").status_code == 204
