"""Every route of an application, however deep in groups and mounts, answers at the URL that its name builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb import App, Request, Routes
from trickleweb.testing import Client

VALUES = {
    "int": st.integers(-(1 << 63) + 1, (1 << 63) - 1),
    "str": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).filter(
        lambda text: text not in (".", "..")
    ),
    "path": st.lists(st.text("ab%?#ü ", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join),
}


@dataclass(frozen=True)
class Leaf:
    """A route with one parameter of that kind, if any."""

    kind: str


@dataclass(frozen=True)
class Branch:
    """A group, or an application, below a prefix; that of a group without applications may have a parameter."""

    is_app: bool
    kind: str
    inner: tuple[Any, ...]


LEAVES = st.builds(Leaf, st.sampled_from(["", *VALUES]))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Branch, st.booleans(), st.sampled_from(["", "int", "str"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


def holds_app(tree: Any) -> bool:
    return isinstance(tree, Branch) and (tree.is_app or any(map(holds_app, tree.inner)))


def grown(into: Routes, tree: Any, name: str) -> list[tuple[str, dict[str, str]]]:
    """Add the tree to a group or application; names of its routes as that knows them, with parameters and kinds."""
    if isinstance(tree, Leaf):
        own = f"p_{name}"
        path = f"/{name}" + (f"/{{{own}:{tree.kind}}}" if tree.kind else "")

        @into.get(path, name=name)
        async def answer(request: Request) -> Any:
            return [name, request.params, request.url_for(request.found.by.name, **request.found.params)]

        return [(name, {own: tree.kind} if tree.kind else {})]
    target: Routes = App() if tree.is_app else Routes()
    kind = "" if holds_app(tree) else tree.kind
    prefix = f"/b{name}" + (f"/{{q_{name}:{kind}}}" if kind else "")
    found = [each for at, inner in enumerate(tree.inner) for each in grown(target, inner, f"{name}{at}")]
    if isinstance(target, App):
        into.mount(prefix, target, name=f"m{name}")
    else:
        into.include(prefix, target, name=f"m{name}")
    above = {f"q_{name}": kind} if kind else {}
    return [(f"m{name}:{inner}", {**above, **kinds}) for inner, kinds in found]


@pytest.mark.slow
@given(TREES, st.data())
def test_names_lead_to_their_handlers(tree: Any, data: st.DataObject) -> None:
    app = App()
    routes = grown(app, tree, "r")
    client = Client(app)
    client.get("/")  # whereby every application learns where it hangs
    for name, kinds in routes:
        params = {each: data.draw(VALUES[kind], each) for each, kind in kinds.items()}
        url = app.url_for(name, **params)
        answer = client.get(url)
        assert answer.status_code == 200, (name, url)
        leaf, found, again = answer.json()
        assert (leaf, found) == (name.rpartition(":")[2], params)
        assert again == url
    client.close()
