"""The form of the IETF's draft: explicit completion, lengths that agree, limits, and requests that were given up."""

from pathlib import Path

import pytest

from tests.support.origins import event, get, output, spool, status
from tests.support.programs import Fleet, asked, settled, with_fleet
from tests.support.uploads import Uploads
from trickleweb.testing.answer import Answer
from trickleweb.tus import UploadLimits, metadata

LIMITS = UploadLimits(upload_bytes=1000, request_bytes=600)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", LIMITS)


def create(uploads: Uploads, complete: str | None, content: bytes = b"", **fields: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    if complete is not None:
        headers["Upload-Complete"] = complete
    return uploads.client.post("/files/", headers=headers, content=content)


def append(uploads: Uploads, path: str, offset: int, complete: str, content: bytes = b"", **fields: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    headers |= {"Upload-Offset": str(offset), "Upload-Complete": complete, "Content-Type": "application/partial-upload"}
    return uploads.client.patch(path, headers=headers, content=content)


def progress(uploads: Uploads, path: str) -> tuple[str | None, ...]:
    found = uploads.client.head(path).headers
    return found.get("upload-complete"), found.get("upload-offset"), found.get("upload-length")


def test_an_upload_in_parts_is_complete_when_its_client_says_so(uploads: Uploads) -> None:
    named = {"Content_Type": "text/plain", "Content_Disposition": "inline; filename=\"a\"; filename*=UTF-8''%c3%a4.txt"}
    answer = create(uploads, "?0", b"12345", **named)
    assert answer.status_code == 201
    assert answer.headers["upload-limit"] == "max-size=1000, max-append-size=600, max-age=86400"
    assert "tus-resumable" not in answer.headers
    path = answer.headers["location"]
    assert progress(uploads, path) == ("?0", "5", None)
    answer = append(uploads, path, 5, "?0", b"678", Upload_Length="8")
    assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?0")
    assert progress(uploads, path) == ("?0", "8", "8")  # all is there, but not complete
    assert uploads.finished == []
    answer = append(uploads, path, 8, "?1")
    assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?1")
    assert progress(uploads, path) == ("?1", "8", "8")
    [record] = uploads.finished
    assert metadata(record.metadata) == {"filetype": b"text/plain", "filename": "ä.txt".encode()}
    assert uploads.store.path(path[7:]).read_bytes() == b"12345678"


def test_one_request_may_be_all(uploads: Uploads) -> None:
    for content in (b"12345", b""):
        answer = create(uploads, "?1", content, Content_Disposition="inline; filename=a.txt")
        assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1")
        assert progress(uploads, answer.headers["location"]) == ("?1", str(len(content)), str(len(content)))
    assert [metadata(record.metadata)["filename"] for record in uploads.finished] == [b"a.txt", b"a.txt"]


def test_a_complete_upload_takes_nothing_more(uploads: Uploads) -> None:
    path = create(uploads, "?1", b"12345").headers["location"]
    for content in (b"", b"6"):
        assert append(uploads, path, 5, "?1", content).status_code == 400
        assert append(uploads, path, 5, "?0", content).status_code == 400
    assert progress(uploads, path) == ("?1", "5", "5")


def test_lengths_must_agree(uploads: Uploads) -> None:
    assert create(uploads, "?1", b"12345", Upload_Length="6").status_code == 400
    path = create(uploads, "?0", b"12345", Upload_Length="8").headers["location"]
    assert append(uploads, path, 5, "?1", b"67").status_code == 400
    assert append(uploads, path, 5, "?0", b"67", Upload_Length="9").status_code == 400
    assert append(uploads, path, 5, "?0", b"6789").status_code == 413
    pieces = uploads.client.patch(
        path,
        headers={"Upload-Offset": "5", "Upload-Complete": "?1", "Content-Type": "application/partial-upload"},
        content=[b"6", b"7"],  # in chunks: its end shows the length
    )
    assert pieces.status_code == 400
    assert progress(uploads, path) == ("?0", "7", "8")
    assert append(uploads, path, 7, "?1", b"8").status_code == 204


def test_offsets_types_and_booleans_are_checked(uploads: Uploads) -> None:
    path = create(uploads, "?0", b"12345").headers["location"]
    answer = append(uploads, path, 4, "?0", b"5")
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "5")
    assert append(uploads, path, 5, "1", b"6").status_code == 400
    assert append(uploads, path, 5, "?0", b"6", Upload_Length="-1").status_code == 400
    headers = {"Upload-Offset": "5", "Upload-Complete": "?0", "Content-Type": "application/offset+octet-stream"}
    assert uploads.client.patch(path, headers=headers, content=b"6").status_code == 415
    assert create(uploads, None, b"12345").status_code == 412
    assert create(uploads, "yes").status_code == 400
    assert create(uploads, "?0", Content_Disposition="=").status_code == 400
    assert create(uploads, "?0", Content_Disposition=f"inline; filename={'a' * 4000}").status_code == 413


def test_limits_are_announced(uploads: Uploads) -> None:
    limits = "max-size=1000, max-append-size=600, max-age=86400"
    found = uploads.client.options("/files/").headers
    assert found["upload-limit"] == limits
    assert "application/partial-upload" in found["accept-patch"]
    answer = create(uploads, "?0", Upload_Length="1001")
    assert (answer.status_code, answer.headers["upload-limit"]) == (413, limits)


def test_an_upload_can_be_cancelled(uploads: Uploads) -> None:
    path = create(uploads, "?0", b"12345").headers["location"]
    assert uploads.client.delete(path).status_code == 204
    assert uploads.client.head(path).status_code == 404


def test_asking_for_the_offset_ends_the_request_before(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    path = create(uploads, "?0").headers["location"]
    data = bytes(6 << 20)
    fields = ("Upload-Offset: 0", "Upload-Complete: ?1", "Content-Type: application/partial-upload")
    raw = get(path, *fields, f"Content-Length: {len(data)}", method="PATCH") + data

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()

        async def sent(size: int) -> bytes:
            reply = await asked(origin, event(raw[:1000], spooled=spool(raw[:size])))
            while origin.busy:
                await settled()
            return output(reply)

        await sent(5 << 20)
        head = output(await asked(origin, event(get(path, method="HEAD"))._replace(connection=b"another.")))
        reached = uploads.store.find(path[7:]).offset
        assert b"Upload-Offset: %d\r\n" % reached in head
        fleet.now_us += 1_000_000
        await sent((5 << 20) + 100_000)
        assert status(await sent((5 << 20) + 100_001)) == 409
        assert uploads.store.find(path[7:]).offset == reached > 0

    with_fleet(lambda: uploads.app, test)
