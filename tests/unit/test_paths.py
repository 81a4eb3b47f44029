"""Path templates: what can be written, and URLs built from them."""

from datetime import date
from uuid import UUID

import pytest

from trickleweb.paths import BadParameter, BadTemplate, Literal, joined, parse_template, quote_path

BAD = [
    ("users", "begins with '/'"),
    ("", "begins with '/'"),
    ("/a?b", "without query"),
    ("/a#b", "fragment"),
    ("/a%20b", "written decoded"),
    ("/a\0", "written decoded"),
    ("//a", "empty segment"),
    ("/a//b", "empty segment"),
    ("/a/../b", "dot segment"),
    ("/./b", "dot segment"),
    ("/{a}-{b}", "one parameter"),
    ("/{a", "one parameter"),
    ("/a}", "one parameter"),
    ("/{{a}}", "one parameter"),
    ("/{}", "'' cannot name a parameter"),
    ("/{1a}", "'1a' cannot name a parameter"),
    ("/{a b:int}", "'a b' cannot name a parameter"),
    ("/{a:number}", "'number' is not one of the kinds date, float, int, path, str, uuid"),
    ("/{a}/{a:int}", "twice"),
    ("/{a:path}/b", "must come last"),
    ("/{a:path}/{b:path}", "must come last"),
    ("/x{a:path}", "has no text around it"),
    ("/{a:path}.html", "has no text around it"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_a_bad_template_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(BadTemplate, match=reason):
        parse_template(text)


BUILT = [
    ("/", {}, "/"),
    ("/a/", {}, "/a/"),
    ("/über uns", {}, "/%C3%BCber%20uns"),
    ("/users/{id:int}", {"id": 7}, "/users/7"),
    ("/users/{name}/", {"name": "a/b".replace("/", "?")}, "/users/a%3Fb/"),
    ("/tags/{tag}", {"tag": "100%"}, "/tags/100%25"),
    ("/report-{day:date}.csv", {"day": date(2024, 2, 29)}, "/report-2024-02-29.csv"),
    ("/{id:uuid}", {"id": UUID(int=1)}, "/00000000-0000-0000-0000-000000000001"),
    ("/files/{rest:path}", {"rest": "a b/c&d"}, "/files/a%20b/c&d"),
    ("/{a}/{b:float}", {"a": "x", "b": 1e22}, "/x/10000000000000000000000"),
]


@pytest.mark.parametrize(("text", "values", "path"), BUILT)
def test_a_template_is_filled_in(text: str, values: dict[str, object], path: str) -> None:
    assert parse_template(text).build(values) == path


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ("/{a:int}", {}, r"takes \['a'\], not \[\]"),
        ("/{a:int}", {"a": 1, "b": 2}, r"not \['a', 'b'\]"),
        ("/{a:int}", {"a": "x"}, "a: 'x' is no int"),
        ("/{a}", {"a": ".."}, "is no str"),
        ("/{a}", {"a": "x\ud800"}, "is no str"),
        ("/{a:path}", {"a": "/etc/passwd"}, "is no path"),
    ],
)
def test_wrong_parameters_are_a_typed_error(text: str, values: dict[str, object], reason: str) -> None:
    with pytest.raises(BadParameter, match=reason):
        parse_template(text).build(values)


def test_a_segment_is_read_only_with_the_text_around_it() -> None:
    (segment,) = parse_template("/ab{n:int}ba").segments
    assert not isinstance(segment, Literal)
    assert segment.read("ab12ba") == 12
    for other in ("12", "ab12", "12ba", "aba", "abba", "xb12ba"):
        with pytest.raises(ValueError, match=r"text around|no 64-bit integer"):
            segment.read(other)


@pytest.mark.parametrize(
    ("prefix", "inner", "whole"),
    [("/a", "/b", "/a/b"), ("/a/", "/b", "/a/b"), ("/a", "", "/a"), ("", "/", "/"), ("/", "/b", "/b")],
)
def test_templates_join(prefix: str, inner: str, whole: str) -> None:
    assert joined(prefix, inner) == whole


def test_a_path_is_quoted_for_a_url() -> None:
    assert quote_path("/a b/ü?#%;x") == "/a%20b/%C3%BC%3F%23%25;x"
