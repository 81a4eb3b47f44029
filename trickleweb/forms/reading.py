"""Read forms of both encodings, and write urlencoded ones (WHATWG URL 5)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_plus, urlencode

from trickleweb.errors import HTTPError
from trickleweb.forms.disposition import PartHead, malformed
from trickleweb.forms.multipart import MultipartReader, PartBegin, PartData, PartEvent, boundary_of
from trickleweb.forms.values import DEFAULT_FORM_LIMITS, Form, FormLimits, Upload
from trickleweb.multidict import MultiDict
from trickleweb.parameters import Parametrised

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


def parse_urlencoded(data: bytes, limits: FormLimits = DEFAULT_FORM_LIMITS) -> MultiDict[str]:
    """Return the pairs in the order sent; a name without `=` has the value "".

    Raise `HTTPError` 400 for text that is not UTF-8, escaped or not; 413 for too many fields or one too long.
    """
    if data.count(b"&") >= limits.max_fields:
        raise HTTPError(413, f"There are more than {limits.max_fields} fields.")
    try:
        text = data.decode("utf-8")
        return MultiDict(tuple(_pair(each, limits) for each in text.split("&") if each))
    except UnicodeDecodeError:
        raise HTTPError(400, "A field is not UTF-8.") from None


def render_urlencoded(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the text that reads as these pairs."""
    return urlencode(list(pairs))


def _pair(text: str, limits: FormLimits) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if len(text) > limits.max_field_bytes:
        raise HTTPError(413, f"A field is longer than {limits.max_field_bytes} bytes.")
    return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")


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
