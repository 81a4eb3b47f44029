"""What the test client sends is what handlers find: queries, forms, files, JSON, cookies, in whatever pieces."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb import App, Request
from trickleweb.testing import Client

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10)
PAIRS = st.lists(st.tuples(NAMES, TEXT), max_size=6)
TOKENS = st.text(st.sampled_from("abcXYZ019-_.!"), min_size=1, max_size=8)
FILENAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: "%22" not in name
)
FILES = st.lists(st.tuples(NAMES, st.tuples(FILENAMES, st.binary(max_size=60))), min_size=1, max_size=4)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

SEEN: list[Any] = []
APP = App()


@APP.post("/query")
async def query(request: Request) -> None:
    SEEN.append(list(request.query.pairs))


@APP.post("/form")
async def form(request: Request) -> None:
    made = request.form()
    SEEN.append((list(made.pairs), [(name, (each.filename, each.data)) for name, each in made.files.pairs]))


@APP.post("/json")
async def json(request: Request) -> None:
    SEEN.append(request.json())


@APP.post("/body", stream=True)
async def body(request: Request) -> None:
    SEEN.append(b"".join([piece async for piece in request.stream()]))


@APP.post("/cookies")
async def cookies(request: Request) -> None:
    SEEN.append(dict(request.cookies))


CLIENT = Client(APP)


def seen(path: str, **options: Any) -> Any:
    SEEN.clear()
    answer = CLIENT.post(path, **options)
    assert answer.status_code == 204, answer.text
    (found,) = SEEN
    return found


@given(PAIRS)
def test_queries(pairs: list[tuple[str, str]]) -> None:
    assert seen("/query", params=pairs) == pairs


@given(PAIRS)
def test_forms(pairs: list[tuple[str, str]]) -> None:
    assert seen("/form", data=pairs) == (pairs, [])


@pytest.mark.slow
@given(PAIRS, FILES)
def test_files(pairs: list[tuple[str, str]], files: list[tuple[str, tuple[str, bytes]]]) -> None:
    quoted = [pair for pair in pairs if "%22" not in pair[0]]  # it is how a quote is sent
    named = [each for each in files if "%22" not in each[0]]
    assert seen("/form", data=quoted, files=named) == (quoted, named)


@given(JSON)
def test_json(value: Any) -> None:
    assert seen("/json", json=value) == value


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_pieces(pieces: list[bytes]) -> None:
    assert seen("/body", content=pieces) == b"".join(pieces)


@given(st.dictionaries(TOKENS, TOKENS, max_size=5))
def test_cookies(pairs: dict[str, str]) -> None:
    assert seen("/cookies", cookies=pairs) == pairs
