"""Read a whole body as a form of either encoding."""

from __future__ import annotations

from collections.abc import Iterable

from trickleweb.errors import HTTPError
from trickleweb.forms.disposition import PartHead, malformed
from trickleweb.forms.multipart import MultipartReader, PartBegin, PartData, PartEvent, boundary_of
from trickleweb.forms.urlencoded import parse_urlencoded
from trickleweb.forms.values import DEFAULT_FORM_LIMITS, Form, FormLimits, Upload
from trickleweb.multidict import MultiDict
from trickleweb.parameters import Parametrised

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


def read_form(body: bytes, content_type: Parametrised, limits: FormLimits = DEFAULT_FORM_LIMITS) -> Form:
    """Return a form; raise `HTTPError` 415 for another media type, 400 for a malformed body, 413 beyond a limit."""
    if content_type.value == URLENCODED:
        return Form(parse_urlencoded(body, limits).pairs)
    if content_type.value != MULTIPART:
        raise HTTPError(415, "A form is expected.", headers=(("Accept-Post", f"{URLENCODED}, {MULTIPART}"),))
    reader = MultipartReader(boundary_of(content_type), limits)
    events = reader.feed(body)
    reader.finish()
    return collected(events)


def collected(events: Iterable[PartEvent]) -> Form:
    """Return the form of a whole body's events."""
    parts: list[tuple[PartHead, list[bytes]]] = []
    for event in events:
        if isinstance(event, PartBegin):
            parts.append((event.head, []))
        elif isinstance(event, PartData):
            parts[-1][1].append(event.data)
    whole = [(head, b"".join(pieces)) for head, pieces in parts]
    fields = tuple((head.name, _text(data)) for head, data in whole if head.filename is None)
    uploads = tuple(
        (head.name, Upload(head.filename, head.content_type, data))
        for head, data in whole
        if head.filename is not None and (head.filename or data)  # a browser sends neither where no file was chosen
    )
    return Form(fields, files=MultiDict(uploads))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("A field is not UTF-8.") from None
