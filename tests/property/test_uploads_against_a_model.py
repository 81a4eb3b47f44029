"""Any requests to an upload, true and false ones, against a model of a few lines."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.uploads import BYTES, Uploads, checksum
from trickleweb.tus import UploadLimits

LIMITS = UploadLimits(upload_bytes=30, total_bytes=100, uploads=3)
Step = tuple[str, int, bytes]
steps = st.lists(
    st.tuples(
        st.sampled_from(["patch", "patch", "chunked", "checked", "wrong", "head", "length"]),
        st.integers(-3, 3),  # from the true offset
        st.binary(max_size=12),
    ),
    max_size=12,
)


@pytest.mark.slow
@given(st.one_of(st.none(), st.integers(0, 30)), steps)
def test_an_upload_is_what_the_model_says(length: int | None, taken: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        uploads = Uploads(Path(folder), LIMITS)
        path, expected = uploads.made(length), b""
        for kind, beside, data in taken:
            offset = len(expected) + beside
            fields = {"checked": checksum(data), "wrong": checksum(data + b"!")}
            named = {"Upload_Checksum": fields[kind]} if kind in fields else {}
            if kind == "length":
                named["Upload_Length"] = str(max(offset, 0) + len(data))
            stop, fits = len(expected) + len(data), beside == 0
            most = 30 if length is None else length
            if kind == "length" and fits:
                fits = length in (None, stop) and stop <= 30
            if kind == "head":
                assert uploads.head(path).headers.get("upload-length") == (None if length is None else str(length))
                continue
            if kind == "chunked":
                content = [data[:5], data[5:]]
                answer = uploads.client.patch(path, headers={**BYTES, "Upload-Offset": str(offset)}, content=content)
            else:
                answer = uploads.patch(path, offset, data, **named)
            allowed = fits and stop <= most and kind != "wrong"
            assert (answer.status_code == 204) == allowed, (kind, answer.text)
            if allowed:
                expected += data
                length = stop if kind == "length" else length
            elif kind == "chunked" and fits:  # its length is not announced: what fits may be kept
                expected += uploads.data(path)[len(expected) :]
                assert data.startswith(expected[stop - len(data) :]) or not data
            assert uploads.data(path) == expected
            assert len(uploads.finished) == (length == len(expected))
