"""The tree of routes against a stupid matcher that tries every template, and URLs against the routes they name."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.test_convertors import SEGMENTS, VALUES
from trickleweb.paths import Literal, Parameter, PathTemplate, Segment, parse_template
from trickleweb.routing import Found, Missing, Route, Router

AFFIXES = st.sampled_from(["", "", "a", "a.", "-"])
PIECES = st.one_of(
    st.sampled_from(["a", "b", "a.b"]),
    st.builds("{}{{{{name}}:{}}}{}".format, AFFIXES, st.sampled_from(["str", "int", "date"]), AFFIXES),
)
TEMPLATES = st.lists(PIECES, min_size=1, max_size=3).flatmap(
    lambda pieces: st.sampled_from([pieces, [*pieces, ""], [*pieces, "{{name}:path}"]])
)


def named(pieces: list[str]) -> str:
    """The template of some pieces, its parameters called p0, p1 ..."""
    return "/" + "/".join(piece.replace("{name}", f"p{at}") for at, piece in enumerate(pieces))


@given(TEMPLATES.map(named), st.data())
def test_a_url_leads_back_to_its_route_and_parameters(text: str, data: st.DataObject) -> None:
    template = parse_template(text)
    kinds = {each.name: each.convertor.name for each in template.segments if isinstance(each, Parameter)}
    params = {name: data.draw(VALUES[kind]) for name, kind in kinds.items()}
    router = Router([Route(text, "end", name="it")])
    found = router.match("GET", unquote(router.url_for("it", **params)))
    assert isinstance(found, Found)
    assert found.params == params


def matched(template: PathTemplate, path: str) -> dict[str, Any] | None:
    """The parameters of one template in a path, None if it does not match."""
    segments = path[1:].split("/")
    count = len(template.segments)
    last = template.segments[-1]
    if isinstance(last, Parameter) and last.convertor.spans and len(segments) >= count:
        segments = [*segments[: count - 1], "/".join(segments[count - 1 :])]
    if len(segments) != count:
        return None
    values: dict[str, Any] = {}
    for each, text in zip(template.segments, segments, strict=True):
        try:
            if isinstance(each, Literal):
                assert each.text == text
            else:
                values[each.name] = each.read(text)
        except (ValueError, AssertionError):
            return None
    return values


def rank(templates: list[PathTemplate], template: PathTemplate) -> list[tuple[int, int, bool, int]]:
    """What decides between two templates, segment by segment."""
    ranks = []
    for at, each in enumerate(template.segments):
        beginning: tuple[Segment, ...] = template.segments[: at + 1]
        order = next(i for i, other in enumerate(templates) if other.segments[: at + 1] == beginning)
        if isinstance(each, Literal):
            ranks.append((0, 0, False, 0))
        else:
            literal = -len(each.prefix) - len(each.suffix)
            ranks.append((2 if each.convertor.spans else 1, literal, each.convertor.name == "str", order))
    return ranks


PATHS = st.lists(
    st.sampled_from(["a", "b", "a.b", "a7", "7", "a.7-", "2024-02-29", "x", ""]) | SEGMENTS, min_size=1, max_size=4
)


@pytest.mark.slow
@given(st.lists(TEMPLATES.map(named), max_size=6, unique=True), PATHS.map(lambda names: "/" + "/".join(names)))
def test_the_tree_agrees_with_trying_every_template(texts: list[str], path: str) -> None:
    templates = [parse_template(text) for text in texts]
    assume(len({each.segments for each in templates}) == len(templates))
    fits = [(rank(templates, each), each) for each in templates if matched(each, path) is not None]
    found = Router([Route(text, text) for text in texts], redirect_slashes=False).match("GET", path)
    if not fits:
        assert found == Missing()
        return
    best = min(fits, key=lambda fit: fit[0])[1]
    assert isinstance(found, Found)
    assert found.endpoint == best.text
    assert found.params == matched(best, path)
