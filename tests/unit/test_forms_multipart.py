"""Multipart forms: what browsers send is read in any pieces; bombs, cuts and lies are refused at the first bad byte."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.errors import HTTPError
from trickleweb.forms import (
    Form,
    FormLimits,
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    PartEvent,
    Upload,
    read_form,
)
from trickleweb.forms.reading import collected
from trickleweb.parameters import parse_parameters

TYPE = parse_parameters('multipart/form-data; boundary="b-1"')


def part(disposition: str, data: bytes, *lines: str) -> bytes:
    """One part with the boundary before it."""
    head = "\r\n".join(("--b-1", f"Content-Disposition: form-data; {disposition}", *lines, "", ""))
    return head.encode() + data + b"\r\n"


def feed(reader: MultipartReader, body: bytes, step: int) -> list[PartEvent]:
    """Feed a body in pieces of `step` bytes."""
    return [event for at in range(0, len(body), step) for event in reader.feed(body[at : at + step])]


def read(*parts: bytes, end: bytes = b"--b-1--\r\n", limits: FormLimits | None = None) -> Form:
    return read_form(b"".join(parts) + end, TYPE, limits or FormLimits())


def test_fields_and_files_are_read() -> None:
    form = read(
        part('name="title"', "Größe".encode()),
        part('name="tag"', b"a"),
        part('name="tag"', b""),
        part('name="photo"; filename="a b.jpg"', b"\xff\xd8\r\n--b-\r\n", "Content-Type: image/jpeg"),
        part('name="photo"; filename="x"', b""),
    )
    assert form.pairs == (("title", "Größe"), ("tag", "a"), ("tag", ""))
    assert form["title"] == "Größe"
    assert form.files.all("photo") == (
        Upload("a b.jpg", "image/jpeg", b"\xff\xd8\r\n--b-\r\n"),
        Upload("x", "application/octet-stream", b""),
    )


def test_an_empty_form_and_what_stands_around_it() -> None:
    assert read() == Form()
    assert read(b"\r\n", part('name="a"', b"1"), end=b"--b-1--")["a"] == "1"
    assert read(part('name="a"', b"1"), end=b"--b-1--\r\nepilogue --b-1\r\n")["a"] == "1"


def test_a_file_input_left_empty_is_no_file() -> None:
    form = read(part('name="photo"; filename=""', b"", "Content-Type: application/octet-stream"))
    assert form == Form()
    assert read(part('name="photo"; filename=""', b"x")).files["photo"].data == b"x"


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('name="a%22b"; filename="c%22d%0A.txt"', 'a"b', 'c"d%0A.txt'),
        (r'name="a"; filename="C:\dir\x.txt"', "a", r"C:\dir\x.txt"),
        (r'name="a"; filename="a\"b.txt"', "a", 'a"b.txt'),
        ("name=a; filename*=UTF-8''na%C3%AFve%20x.txt", "a", "naïve x.txt"),
        ("name=a; filename=\"plain\"; filename*=UTF-8''other", "a", "plain"),
        ('name="ключ"; filename="файл"', "ключ", "файл"),
        ('name=""; filename="../x"', "", "../x"),
    ],
)
def test_names_are_read_as_programs_write_them(disposition: str, name: str, filename: str) -> None:
    ((found, upload),) = read(part(disposition, b"x")).files.pairs
    assert (found, upload.filename) == (name, filename)


NAMES = st.text(st.characters(exclude_characters='"\\%', exclude_categories=["Cs", "Cc"]), max_size=8)
PARTS = st.lists(
    st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=40).map(lambda data: data.replace(b"b-1", b"b-2"))),
    max_size=5,
)


@pytest.mark.slow
@given(PARTS, st.integers(1, 30))
def test_a_form_survives_any_cut_into_pieces(parts: list[tuple[str, str | None, bytes]], step: int) -> None:
    encoded = b"".join(
        part(f'name="{name}"' + (f'; filename="{file}"' if file is not None else ""), data)
        for name, file, data in parts
    )
    body = encoded + b"--b-1--\r\n"
    reader = MultipartReader(b"b-1")
    events = feed(reader, body, step)
    reader.finish()
    begun = [event.head for event in events if isinstance(event, PartBegin)]
    assert [(head.name, head.filename) for head in begun] == [(name, file) for name, file, _ in parts]
    assert sum(isinstance(event, PartEnd) for event in events) == len(parts)
    joined = b"".join(event.data for event in events if isinstance(event, PartData))
    assert joined == b"".join(data for _, _, data in parts)
    if all(file is not None for _, file, _ in parts):
        whole = [upload.data for _, upload in collected(events).files.pairs]
        assert whole == [data for _, file, data in parts if file or data]


@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_are_a_form_or_an_http_error(data: bytes, step: int) -> None:
    reader = MultipartReader(b"b")
    with suppress(HTTPError):
        feed(reader, data, step)
        reader.finish()


BODY = part('name="a"', b"1") + part('name="f"; filename="x"', b"2\r\n") + b"--b-1--"


def test_a_form_cut_anywhere_is_refused() -> None:
    assert read_form(BODY, TYPE)["a"] == "1"
    for length in range(len(BODY)):
        with pytest.raises(HTTPError, match="400") as caught:
            read_form(BODY[:length], TYPE)
        assert caught.value.status == 400


MALFORMED = [
    (b"preamble\r\n" + BODY, "does not begin"),
    (b"\r\n\r\n" + BODY, "does not begin"),
    (b"--b-2--", "does not begin"),
    (b"--b-1 \r\n", "followed by other bytes"),
    (b"--b-1x\r\n", "followed by other bytes"),
    (part('name="a"', b"x\r\n--b-10"), "followed by other bytes"),
    (b"--b-1\r\n\r\nx\r\n--b-1--", "no header"),
    (b"--b-1\r\nContent-Type: a/b\r\n\r\nx", "one Content-Disposition"),
    (part('name="a"', b"", "Content-Disposition: form-data; name=b"), "one Content-Disposition"),
    (b"--b-1\r\nContent-Disposition: attachment; name=a\r\n\r\nx", "form-data and has a name"),
    (part("filename=x", b""), "form-data and has a name"),
    (part('name="a"; name="b"', b""), "malformed Content-Disposition"),
    (part('name="a', b""), "malformed Content-Disposition"),
    (part("name=a; filename*=utf-8''%ff", b""), "malformed file name"),
    (part("name=a; filename*=koi8-r''x", b""), "malformed file name"),
    (part("name=a", b"", "Content-Transfer-Encoding: base64"), "transfer encoding"),
    (part("name=a", b"", "X: \x00"), "malformed header line"),
    (part("name=a", b"", "folded", " line"), "malformed header line"),
    (part("name=a", b"", "X: a\nY: b"), "malformed header line"),
    (b"--b-1\r\nContent-Disposition: form-data; name=\xff\r\n\r\n", "header is not UTF-8"),
    (part("name=a", b"\xff") + b"--b-1--", "field is not UTF-8"),
]


@pytest.mark.parametrize(("body", "reason"), MALFORMED)
def test_what_no_browser_sends_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(HTTPError, match=reason) as caught:
        read_form(body, TYPE)
    assert caught.value.status == 400


def test_the_plain_transfer_encodings_change_nothing() -> None:
    assert read(part("name=a", b"x", "Content-Transfer-Encoding: 8Bit"))["a"] == "x"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'x' * 71}",
        'multipart/form-data; boundary="a "',
        'multipart/form-data; boundary="ä"',
    ],
)
def test_a_missing_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(HTTPError, match="names no boundary") as caught:
        read_form(BODY, parse_parameters(content_type))
    assert caught.value.status == 400


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/mixed; boundary=b-1", "application/json"])
def test_another_type_is_no_form(content_type: str) -> None:
    with pytest.raises(HTTPError) as caught:
        read_form(BODY, parse_parameters(content_type))
    assert caught.value.status == 415
    assert caught.value.headers[0][0] == "Accept-Post"


def too_large(*parts: bytes, limits: FormLimits) -> str:
    with pytest.raises(HTTPError) as caught:
        read(*parts, limits=limits)
    assert caught.value.status == 413
    return caught.value.reason


def test_ten_thousand_parts_are_refused_at_the_first_too_many() -> None:
    reader = MultipartReader(b"b-1")
    fine = part("name=a", b"") * 1000
    assert len(reader.feed(fine)) == 1999  # the end of the last part shows with the boundary behind it
    with pytest.raises(HTTPError, match="413 There are more than 1000 fields"):
        reader.feed(part("name=a", b"") * 9000)


def test_every_part_has_its_limit() -> None:
    limits = FormLimits(max_field_bytes=10, max_file_bytes=20)
    assert read(part("name=a", b"x" * 10), part("name=b; filename=c", b"x" * 20), limits=limits)["a"] == "x" * 10
    assert too_large(part("name=a", b"x" * 11), limits=limits) == "A field or file is too long."
    assert too_large(part("name=a; filename=c", b"x" * 21), limits=limits) == "A field or file is too long."


def test_a_part_without_end_is_refused_before_it_is_held() -> None:
    reader = MultipartReader(b"b-1", FormLimits(max_file_bytes=10_000))
    reader.feed(b"--b-1\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n")
    with pytest.raises(HTTPError, match="413"):
        feed(reader, b"x" * 100_000, 1000)


@pytest.mark.parametrize("step", [1, 100, 100_000])
def test_a_header_without_end_is_refused(step: int) -> None:
    reader = MultipartReader(b"b-1", FormLimits(max_part_header_bytes=500))
    body = b"--b-1\r\nContent-Disposition: form-data; name=a\r\n" + b"X: y\r\n" * 10_000
    with pytest.raises(HTTPError, match="413 A part's header is longer than 500 bytes"):
        feed(reader, body, step)


def test_a_header_may_be_as_long_as_the_limit() -> None:
    line = "X: " + "y" * 60
    block = len(f"Content-Disposition: form-data; name=a\r\n{line}")
    body = part("name=a", b"1", line)
    assert read(body, limits=FormLimits(max_part_header_bytes=block))["a"] == "1"
    assert "header is longer" in too_large(body, limits=FormLimits(max_part_header_bytes=block - 1))


def test_a_form_within_a_form_is_the_bytes_of_one_file() -> None:
    inner = b"--in\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--in--\r\n"
    form = read(part('name="n"; filename="f"', inner, "Content-Type: multipart/mixed; boundary=in"))
    assert form.files["n"].data == inner
    assert form.pairs == ()


def test_a_reader_holds_little_more_than_a_boundary() -> None:
    reader = MultipartReader(b"b-1", FormLimits(max_file_bytes=1 << 30))
    reader.feed(b"--b-1\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n")
    for _ in range(1000):
        reader.feed(b"\r\n--b-" * 100)
    assert len(reader._buffer) < 20
