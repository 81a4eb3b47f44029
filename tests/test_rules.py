"""The rules of the house on small texts: each finds its breach, and lets good code pass."""

import pytest

from tests.support import rules
from tests.support.sources import Module

WORLD = frozenset({"pathlib", "sqlite3"})


def test_what_only_tests_call_is_found() -> None:
    module = Module("p.a", "def f():\n    f()\nclass A:\n    def g(self): ...\n    def h(self): ...\nA().h = 1")
    assert [each.rpartition(" ")[2] for each in rules.uncalled([module], set())] == ["f", "g", "h"]
    assert not list(rules.uncalled([Module("p", "def f(): ...\n__all__ = ['f']", is_package=True)], set()))
    assert list(rules.uncalled([Module("p.a", "def f(): ...\n__all__ = ['f']")], set()))


def test_a_class_name_that_occurs_twice_is_found() -> None:
    modules = [Module("p.a", "class A: ..."), Module("p.b", "def f():\n    class A: ...")]
    assert list(rules.named_once(modules, set())) == ["A is a class of p.a and p.b"]
    assert not list(rules.named_once(modules, {"A"}))


@pytest.mark.parametrize(
    "text",
    [
        "class A: ...\nclass B(A): ...",
        "from trickles.gateway.downstream import Downstream\nclass B(Downstream): ...",
        "from trickles.gateway import downstream\nclass B(asyncio.Protocol, downstream.Downstream): ...",
        "class A(Generic[T]): ...\ndef f():\n    class B(A[int]): ...",
        "from trickles.gateway.downstream import Downstream as Base\nclass B(Base): ...",
        "from trickles.gateway import downstream\nBase = downstream.Downstream\nclass B(Base): ...",
    ],
)
def test_inheritance_in_the_gateway_is_found(text: str) -> None:
    assert list(rules.inherits_from_no_class_of(Module("trickles.gateway.x", text), "trickles.gateway"))


@pytest.mark.parametrize(
    "text", ["import sqlite3", "def f():\n    import pathlib", "open('x')", "__import__('os')", "eval('1')"]
)
def test_a_core_that_touches_the_world_is_found(text: str) -> None:
    places = {"m.x": rules.Place(1), "m.y": rules.Place(1, core=False)}
    assert len(list(rules.is_pure(Module("m.x", text), places, WORLD))) == 1
    assert not list(rules.is_pure(Module("m.y", text), places, WORLD))


@pytest.mark.parametrize(
    "text",
    [
        "other.name = 1",
        "other.names[0] = 1",
        "del self.other.name",
        "for other.name in range(3): ...",
        "setattr(other, 'name', 1)",
        "object.__setattr__(other, 'name', 1)",
        "vars(other)['name'] = 1",
        "class A(B): ...",
    ],
)
def test_assigning_to_anothers_attribute_is_found(text: str) -> None:
    assert list(rules.owns_what_it_assigns(Module("m", text)))
    assert not list(rules.owns_what_it_assigns(Module("m", "self.name = 1\nname = 1\nnames[0] = 1")))


def test_inheritance_from_elsewhere_is_none_of_the_gateways() -> None:
    text = (
        "import asyncio\nfrom trickles.errors import BadPacket\nclass A(asyncio.Protocol): ...\nclass B(BadPacket): ..."
    )
    assert not list(rules.inherits_from_no_class_of(Module("trickles.gateway.x", text), "trickles.gateway"))


def test_reaching_through_is_found() -> None:
    text = "self.connection.client.write(data)\nmember.client\n"
    assert list(rules.reads_no_attribute_of(Module("m", text), frozenset({"client"}))) == [
        "m:1 reaches through .client to .write"
    ]


def test_circles_of_modules_are_found() -> None:
    circle = [
        Module("p.a", "from p.b import x"),
        Module("p.b", "def f():\n    import p.a"),
        Module("p.c", "import p.d"),
    ]
    assert [each.partition(" ")[0] for each in rules.acyclic([*circle, Module("p.d", "")])] == ["p.a", "p.b"]
