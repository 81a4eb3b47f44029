"""What users may import: every public name is there, says what it promises, and changes only on purpose."""

import importlib
import inspect
from pathlib import Path

import pytest

from tests.support.sources import load

ROOT = Path(__file__).parent.parent

# The public names. To change this list is to change what users rely on: say so in CHANGELOG.md.
PUBLIC: dict[str, list[str]] = {
    "trickles": [
        "AsyncReplica",
        "Client",
        "ClientConfig",
        "Continuation",
        "Deferred",
        "Dialer",
        "Epoch",
        "Event",
        "Keyring",
        "Limits",
        "Listener",
        "Policy",
        "Refusal",
        "Replica",
        "Reply",
        "Service",
        "Stream",
        "connect",
        "serve",
    ],
    "trickles.httpx": ["AsyncTricklesTransport", "Fleet", "TricklesTransport"],
    "trickleweb.events": [
        "BadEvent",
        "EventGap",
        "EventPage",
        "EventSource",
        "EventStream",
        "EventStreams",
        "ListEvents",
        "LogEvents",
        "ServerSentEvent",
        "SqliteEvents",
        "TableEvents",
        "TopicEvents",
        "event_id",
    ],
    "trickleweb": [
        "App",
        "Cookie",
        "HTTPError",
        "Request",
        "Response",
        "Routes",
        "Step",
        "stepping",
        "steps",
    ],
    "trickleweb.tus": [
        "UploadFolder",
        "UploadLimits",
        "UploadRecord",
        "UploadStore",
        "metadata",
        "resumable_uploads",
    ],
}
NAMES = [(package, name) for package in PUBLIC for name in importlib.import_module(package).__all__]
PACKAGES = ("trickles", "trickleweb")
MODULES = [
    module.name for package in PACKAGES for module in load(ROOT, package) if not module.name.endswith("__main__")
]


def documented(thing: object, name: str) -> bool:
    """Whether a class, function or module has a docstring of its own, not an inherited or generated one."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
        return True  # a constant or an alias of a type: the comment beside it is for readers of the source
    text = thing.__doc__ or ""
    return bool(text.strip()) and not text.startswith(f"{name}(")


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_change_only_on_purpose(package: str) -> None:
    assert sorted(importlib.import_module(package).__all__) == sorted(PUBLIC[package])


def test_public_names_resolve_and_say_what_they_promise() -> None:
    silent = [f"{package}.{name}" for package, name in NAMES if not documented(attribute(package, name), name)]
    assert silent == []


def attribute(package: str, name: str) -> object:
    """Return a public name's object; an AttributeError names what is missing."""
    return getattr(importlib.import_module(package), name)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is(name: str) -> None:
    assert documented(importlib.import_module(name), name)


def test_a_generated_or_missing_docstring_does_not_count() -> None:
    generated = type("Point", (), {"__doc__": "Point(x: int)"})
    assert not documented(generated, "Point")
    assert not documented(type("Silent", (Exception,), {}), "Silent")
    assert documented(test_a_generated_or_missing_docstring_does_not_count, "f") is False
    assert documented(documented, "documented")


def test_names_that_are_loaded_late_are_the_public_ones() -> None:
    module = importlib.import_module("trickleweb")
    assert set(PUBLIC["trickleweb"]) <= set(dir(module))
    assert not hasattr(module, "NoSuchName")
