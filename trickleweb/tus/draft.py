"""The form of draft-ietf-httpbis-resumable-upload as of 2025, spoken by requests without Tus-Resumable.

It differs from tus in that the client says which request is the last one (Upload-Complete), and that it asks for the
offset only after its last request has failed. Interim responses (104) are not sent: many clients of HTTP/1.1 take them
for the response. So a client that may die in its first request creates the upload by an empty one.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from urllib.parse import unquote

from trickleweb.errors import HTTPError
from trickleweb.headers import Pair
from trickleweb.parameters import parse_parameters
from trickleweb.request import Request
from trickleweb.tus.uploads import UploadLimits, UploadRecord

OCTETS = "application/partial-upload"
_UTF_8 = "utf-8''"


def is_draft(request: Request) -> bool:
    """Return whether a request is of this form."""
    return "tus-resumable" not in request.headers


def completes(request: Request) -> bool:
    """Return whether a request is to complete its upload; raise `HTTPError` 400 if it does not say."""
    match request.headers.get("upload-complete"):
        case "?1":
            return True
        case "?0":
            return False
    raise HTTPError(400, "Upload-Complete is missing, or no boolean.")


def open_record(record: UploadRecord, request: Request) -> UploadRecord:
    """Return the record of an upload that its client will complete, with the names that its first request has."""
    pairs = {"filetype": request.headers.get("content-type"), "filename": _filename(request)}
    known = [f"{name} {b64encode(value.encode()).decode()}" for name, value in pairs.items() if value]
    return replace(record, is_open=True, metadata=",".join(known))


def limit(limits: UploadLimits, left_s: int | None = None) -> Pair:
    """Return the field Upload-Limit, of an upload that has that time left."""
    age_s, most = limits.age_s if left_s is None else left_s, limits.upload_bytes
    return "Upload-Limit", f"max-size={most}, max-append-size={limits.request_bytes}, max-age={age_s}"


def completeness(record: UploadRecord) -> Pair:
    """Return the field Upload-Complete."""
    return "Upload-Complete", "?1" if record.is_complete else "?0"


def _filename(request: Request) -> str | None:
    try:
        fields = parse_parameters(request.headers.get("content-disposition") or "inline").parameters
    except ValueError:
        raise HTTPError(400, "Content-Disposition is malformed.") from None
    extended = fields.get("filename*", "")
    if extended.lower().startswith(_UTF_8):
        return unquote(extended[len(_UTF_8) :])
    return fields.get("filename")
