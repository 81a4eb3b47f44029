"""The rules of the house over the real tree: who imports whom, who touches the world, how long things are.

A new module gets its place in `LEVELS`. A module imports only lower levels, and others of its own family.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from statistics import median

import pytest

from tests.support import rules
from tests.support.rules import Place
from tests.support.sources import Module, functions, imports, load

pytestmark = pytest.mark.xdist_group("architecture")  # one process parses all

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MEDIAN_FUNCTION_LINES = 12

FACE = Place(12, core=False)  # the package itself: its public names
SERVER_AT_WORK = (  # the modules of the server that run tasks and threads; all others of it are pure
    "server.direct server.drain server.event_parts server.exchanges server.live server.parking server.producer"
    " server.resume server.run server.shelf server.sleeping server.start server.stored_streams server.storing"
    " server.stream_cache server.streams server.tasks server.unsafe"
)
LEVELS: dict[str, tuple[tuple[Place, str], ...]] = {
    "trickles": (
        (Place(-1), "promise"),
        (Place(0), "errors limits printable ranges trace service law nonce stores"),
        (Place(0, core=False), "faces"),
        (Place(1), "hpke keyring replay trickle"),
        (Place(2), "wire"),
        (Place(3), "session continuation handshake shares spool"),
        (Place(4), "listener"),
        (Place(4), "client"),
        (Place(5, core=False), "drivers"),  # only from here on sockets, clocks and entropy
        (Place(6, core=False), "command gateway httpx testing tools"),
        (Place(7, core=False), "cli"),
        (Place(8, core=False), "__main__"),
    ),
    "trickleweb": (
        (Place(0), "cache errors limits headers parameters"),
        (Place(0, core=False), "convertors"),
        (Place(1), "messages cookies paths multidict plain sealing ledger response_store topics"),
        (Place(1, core=False), "containment fetching templating config"),
        (Place(2, core=False), "stores"),
        (Place(2), "http1 routing forms sessions wizard bodies"),
        (Place(2, core=False), "files"),
        (Place(3, family="handlers"), "request responses handlers application"),
        (Place(3, core=False), "events"),
        (Place(4), "middleware"),
        (Place(4, core=False), "bodies.iteration"),
        (Place(5, family="server"), "server"),
        (Place(5, family="server", core=False), SERVER_AT_WORK),
        (Place(6, family="hosting", core=False), "asgi wsgi"),
        (Place(7, core=False), "app"),
        (Place(8, core=False), "telemetry tus"),
        (Place(9, core=False), "testing"),
        (Place(10, core=False), "cli"),
        (Place(11, core=False), "__main__"),
    ),
}
CLIENT_FLOORS = (
    "flows",
    "requests fleet rtt arrivals reassembly events requested",
    "config scoreboard input striping moving",
    "liveness",
    "pathmtu upload output handshake",
    "flight heartbeats",
    "recovery",
    "losses atwork",
    "parts",
    "packets refusals",
    "receiving sending snapshot",
    "engine",
)
PLACES = {
    f"{package}.{name}": place for package, rows in LEVELS.items() for place, names in rows for name in names.split()
}
PLACES |= dict.fromkeys(LEVELS, FACE)

TOUCHES_THE_WORLD = frozenset(
    {"asyncio", "concurrent", "ctypes", "importlib", "mmap", "multiprocessing", "os", "pathlib", "random"}
    | {"secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile"}
    | {"threading", "time", "uuid"}
)
IMPORTERS = {
    "asyncpg": ("trickleweb.stores.postgresql.driver",),
    "cryptography": ("trickles.keyring", "trickles.nonce", "trickles.session", "trickles.handshake", "trickles.hpke"),
    "h11": ("trickleweb.http1",),
    "jinja2": ("trickleweb.templating",),
    "httpcore": ("trickles.httpx",),
    "httpx": ("trickles.httpx",),
    "redis": ("trickleweb.stores.redis.driver",),
    "scapy": ("trickles.tools",),
}
_FACES = "errors faces limits printable service keyring listener client command drivers gateway testing stores shares"
PUBLIC_FACES = frozenset(
    {"trickles", "trickles.spool", "trickles.promise"} | {f"trickles.{name}" for name in _FACES.split()}
)

PLAIN = frozenset({"trickles", "trickleweb"})  # packages whose words are held

MODULES = [module for package in LEVELS for module in load(ROOT, package)]
EXTRAS = [module for folder in ("tests", "benchmarks", "apps") for module in load(ROOT, folder)]


def layered(module: Module) -> Iterator[str]:
    yield from rules.has_a_place(module, PLACES)
    yield from rules.imports_lower_levels(module, PLACES)


def pure(module: Module) -> Iterator[str]:
    yield from rules.is_pure(module, PLACES, TOUCHES_THE_WORLD)


def few_strangers(module: Module) -> Iterator[str]:
    yield from rules.imports_only_allowed_strangers(module, IMPORTERS)


def apart(module: Module) -> Iterator[str]:
    outer = {"apps", "benchmarks", "tests"} | ({"trickleweb"} if module.root == "trickles" else set())
    yield from rules.never_imports(module, frozenset(outer))
    if module.root == "trickleweb":
        yield from rules.imports_only_faces(module, "trickles", PUBLIC_FACES, PLACES)


def small(module: Module) -> Iterator[str]:
    yield from rules.is_small(module, MAX_FILE_LINES, MAX_FUNCTION_LINES)


def owned(module: Module) -> Iterator[str]:
    if module.name.startswith("trickles.client"):
        yield from rules.owns_what_it_assigns(module)


def stacked(module: Module) -> Iterator[str]:
    if module.name.startswith("trickles.client."):
        yield from rules.imports_downwards(module, "trickles.client", CLIENT_FLOORS)


def plain(module: Module) -> Iterator[str]:
    if module.root in PLAIN:
        yield from rules.plain_words(module)


Rule = Callable[[Module], Iterator[str]]


RULES = [layered, pure, few_strangers, apart, small, owned, stacked, plain]


@lru_cache(maxsize=1)
def breaches_by_rule() -> dict[str, list[str]]:
    """All breaches, each module parsed once for all rules."""
    found: dict[str, list[str]] = {rule.__name__: [] for rule in RULES}
    for module in MODULES:
        for rule in RULES:
            found[rule.__name__] += rule(module)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_packages_keep_the_rule(rule: Rule) -> None:
    breaches = breaches_by_rule()[rule.__name__]
    assert not breaches, "\n" + "\n".join(breaches)


def test_what_surrounds_the_packages_is_small_too() -> None:
    breaches = [breach for module in EXTRAS for breach in small(module)]
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.parametrize("package", LEVELS)
def test_functions_are_short(package: str) -> None:
    found = sorted((each for module in load(ROOT, package) for each in functions(module)), key=lambda each: -each.lines)
    middle = median(each.lines for each in found) if found else 0
    worst = "\n".join(f"{each.lines:4} {each.name}:{each.line}" for each in found[:10])
    assert middle < MEDIAN_FUNCTION_LINES, f"the median function has {middle} lines; the longest:\n{worst}"


def test_the_walk_sees_both_packages_and_the_tests() -> None:
    names = {module.name for module in MODULES + EXTRAS}
    assert names >= {"trickles", "trickleweb", "tests", "tests.test_architecture", "tests.support.rules"}


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 50
DOCUMENTED_FUNCTION = '@decorated\ndef f():\n    """What\n\n    it promises."""\n' + "    x = 1\n" * 49

BREACHES = [
    (layered, "trickles.nowhere", "", "not in LEVELS"),
    (layered, "trickles.wire", "from trickles import session", "imports trickles.session, level 3 from level 2"),
    (layered, "trickles.wire", "from trickles.listener import Listener", "level 4 from level 2"),
    (layered, "trickles.wire", "from . import client", "imports trickles.client, level 4"),
    (layered, "trickles.wire", "from .client import Client", "imports trickles.client.Client, level 4"),
    (layered, "trickles.law.reno", "from ..trickle import Episode", "imports trickles.trickle.Episode, level 1"),
    (layered, "trickles.wire", "def f():\n    import trickles.cli", "trickles.wire:2"),
    (layered, "trickles.wire", "import trickles", "imports trickles, level 12"),
    (layered, "trickles.gateway.tcp", "from trickles import connect", "imports trickles.connect, level 12"),
    (layered, "trickles.listener", "import trickles.client", "imports trickles.client"),
    (layered, "trickles.client.engine", "from trickles.listener import Listener", "imports trickles.listener"),
    (layered, "trickleweb.headers", "from trickleweb.app import App", "imports trickleweb.app.App"),
    (layered, "trickles.drivers.udp", "from trickles.gateway import tcp", "level 6 from level 5"),
    (layered, "trickles.gateway.tcp", "from trickles.testing import Link", "level 6 from level 6"),
    (layered, "trickles.tools.dump", "def f():\n    from trickles.cli import main", "level 7 from level 6"),
    (layered, "trickleweb.stores.sqlite", "from trickleweb.server import HttpService", "level 5 from level 2"),
    (layered, "trickleweb.telemetry.admin", "from trickleweb.testing import Client", "level 9 from level 8"),
    (layered, "trickleweb.testing.client", "if TYPE_CHECKING:\n    import trickleweb.cli.get", "level 10 from level 9"),
    (pure, "trickles.client", "import time", "imports time"),
    (pure, "trickles.law.reno", "from os.path import join", "imports os"),
    (pure, "trickleweb.http1", "if TYPE_CHECKING:\n    import asyncio.streams", "trickleweb.http1:2 imports asyncio"),
    (few_strangers, "trickles.wire", "import cryptography.x509", "imports cryptography"),
    (few_strangers, "trickleweb.http10", "from h11 import Connection", "imports h11"),
    (few_strangers, "trickles.drivers.udp", "import scapy.all", "imports scapy"),
    (few_strangers, "trickles.cli", "import requests", "imports requests"),
    (apart, "trickles.cli", "import trickleweb", "imports trickleweb"),
    (apart, "trickleweb.cli", "from apps.notes import app", "imports apps.notes.app"),
    (apart, "trickleweb.cli", "import tests.support", "imports tests.support"),
    (apart, "trickleweb.server", "from trickles.wire import Burst", "not a public face"),
    (apart, "trickleweb.server", "from trickles import wire", "imports trickles.wire, which is not a public face"),
    (small, "trickles.wire", "x = 1\n" * 401, "401 lines"),
    (owned, "trickles.client.engine", "class A:\n    def f(self, b):\n        b.x = 1", "assigns to b.x"),
    (owned, "trickles.client.engine", "class A:\n    def f(self):\n        self.b.x += 1", "assigns to self.b.x"),
    (owned, "trickles.client.engine", "class A:\n    def f(self, b):\n        b.x, y = 1, 2", "assigns to b.x"),
    (owned, "trickles.client.engine", "class A:\n    def f(self):\n        self.b.x[0] = 1", "assigns to self.b.x"),
    (owned, "trickles.client.engine", "class A:\n    def f(self, b):\n        del b.x", "assigns to b.x"),
    (owned, "trickles.client.engine", "setattr(a, 'x', 1)", "uses setattr"),
    (stacked, "trickles.client.flight", "from trickles.client.recovery import Recovery", "not below it"),
    (stacked, "trickles.client.flight", "def f():\n    from trickles.client import engine", "not below it"),
    (stacked, "trickles.client.nowhere", "", "on none of the floors"),
    (owned, "trickles.client.engine", "class B(A):\n    pass", "B inherits from A"),
    (small, "trickles.wire", LONG_FUNCTION, "trickles.wire.f:1 has 51 lines"),
    (small, "trickles.wire", "async " + LONG_FUNCTION, "has 51 lines"),
    (plain, "trickles.wire", '"""What is on the wire."""', "begins with 'What'"),
    (
        plain,
        "trickles.wire",
        'def f():\n    """The one that waits."""',
        "trickles.wire:1 a docstring begins with 'The one'",
    ),
    (plain, "trickles.wire", 'class A:\n    """Whether it holds."""', "begins with 'Whether'"),
    (plain, "trickles.wire", 'def f():\n    """Make it.\n\n    It is made anew.\n    """', "says 'anew'"),
    (plain, "trickles.wire", 'raise OSError(f"it was told {x}")', "says 'told'"),
    (plain, "trickles.wire", "x = 1  # behind y", "trickles.wire:1 says 'behind'"),
    (plain, "trickles.wire", "def _stirred(): ...", "says 'stirred'"),
]


@pytest.mark.parametrize(("rule", "name", "text", "expected"), BREACHES)
def test_the_rule_finds_a_breach(rule: Rule, name: str, text: str, expected: str) -> None:
    assert [breach for breach in rule(Module(name, text)) if expected in breach], f"{rule.__name__} let it pass"


KEPT = [
    (layered, "trickles.wire", "from trickles import errors\nfrom .ranges import RangeSet"),
    (layered, "trickles.wire.codec", "from trickles.wire.header import Header\nfrom . import header"),
    (layered, "trickles.listener.grants", "from trickles.listener.paths import Path"),
    (layered, "trickles.cli", "from trickles import drivers, listener, client"),
    (layered, "trickles", "from trickles.drivers import connect"),
    (pure, "trickles.client", "import math\nfrom dataclasses import dataclass"),
    (pure, "trickles.drivers.udp", "import asyncio, socket, time, os"),
    (few_strangers, "trickles.tools.layers", "from scapy.all import Packet"),
    (few_strangers, "trickles.keyring", "from cryptography.hazmat.primitives import hpke\nimport struct"),
    (few_strangers, "trickleweb.http1", "import h11"),
    (apart, "trickleweb.server", "from trickles import connect, service\nfrom trickles.drivers.udp import serve"),
    (small, "trickles.wire", "x = 1\n" * 400),
    (owned, "trickles.client.engine", "class A:\n    def f(self, b):\n        self.x, self.y[0] = b.x, b.y"),
    (owned, "trickles.client.engine", "class A(NamedTuple):\n    x: int"),
    (small, "trickles.wire", DOCUMENTED_FUNCTION),
    (plain, "trickles.wire", 'def f():\n    """Return what arrived."""\n    return told["behind"]  # later'),
    (plain, "tests.support", '"""Whether a rule is for tests too."""'),
]


@pytest.mark.parametrize(("rule", "name", "text"), KEPT)
def test_the_rule_lets_good_code_pass(rule: Rule, name: str, text: str) -> None:
    assert not list(rule(Module(name, text)))


def test_a_relative_import_in_a_package_starts_at_the_package() -> None:
    package = Module("trickles.wire", "from . import codec\nfrom .. import listener", is_package=True)
    assert [each.name for each in imports(package)] == ["trickles.wire.codec", "trickles.listener"]


def test_bodies_of_protocols_do_not_count_as_functions() -> None:
    text = "class P:\n    def f(self): ...\n    def g(self):\n        return 1\n"
    assert [(each.name, each.lines) for each in functions(Module("m", text))] == [("m.g", 2)]


# the gateway: composition, and closed doors

GATEWAY = [module for module in MODULES if module.name.startswith("trickles.gateway")]
INNER = frozenset({"client", "state", "_connection"})  # of a driver, of its engine, of an upstream to a fleet


def test_no_class_of_the_gateway_inherits_from_another_of_it() -> None:
    breaches = [each for module in GATEWAY for each in rules.inherits_from_no_class_of(module, "trickles.gateway")]
    assert not breaches, "\n" + "\n".join(breaches)


def test_the_gateway_reaches_through_no_driver_into_the_engine() -> None:
    allowed = {"trickles.gateway.fleet_upstream": INNER - {"_connection"}}  # which owns the driver
    breaches = [
        each for module in GATEWAY for each in rules.reads_no_attribute_of(module, allowed.get(module.name, INNER))
    ]
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.slow
def test_files_import_each_other_in_one_direction() -> None:
    breaches = list(rules.acyclic(MODULES))
    assert not breaches, "\n" + "\n".join(breaches)


# one meaning for each name, and a caller for each definition

PUBLIC_TWICE = {  # each the word of its package's users
    "Application": "of the simulator: what uses a client; of the HTTP server: what answers requests",
    "Client": "the transport's; the one that tests of an application use",
    "Limits": "the bounds of the transport; those of the HTTP server",
    "Replica": "on a socket; in the simulator",
    "Session": "of the simulator: a client as its application sees it; of HTTP: what a signed cookie names",
}
CALLED_FROM_OUTSIDE = {  # by whom -> what
    "asyncio, which is given protocols": "buffer_updated connection_lost get_buffer pause_writing resume_writing",
    "httpx and httpcore": "connect_tcp handle_request handle_async_request",
    "http.server and socketserver": "get_request handle_error log_message process_request process_request_thread",
    "enum, io and logging": "_missing_ emit readinto writable",
    "scapy": "dispatch_hook extract_padding",
    "owners of clients that outlive their process (docs/python.md)": "snapshot_is_stale",
    "scenarios (trickles.testing)": "add_anycast add_tcp rebind",
    "applications: of App and Routes": "add_middleware include on_shutdown on_startup",
    "applications: of requests, forms, sessions, wizards": "flash is_last safe_name take_flashes",
    "applications: of configuration": "toml_file",
    "owners of a ledger (docs/operations.md)": "expire",
    "applications: of topics": "publish",
    "tests of applications (trickleweb.testing)": "is_success raise_for_status",
}


def test_no_class_name_occurs_twice() -> None:
    assert not list(rules.named_once(MODULES, PUBLIC_TWICE.keys()))


@pytest.mark.slow
def test_every_definition_of_the_product_is_used_by_it() -> None:
    allowed = {name for names in CALLED_FROM_OUTSIDE.values() for name in names.split()}
    breaches = list(rules.uncalled(MODULES, allowed))
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.slow
def test_the_lists_of_exceptions_hold_nothing_else() -> None:
    uncalled = {each.rpartition(" ")[2] for each in rules.uncalled(MODULES, set())}
    assert uncalled == {name for names in CALLED_FROM_OUTSIDE.values() for name in names.split()}
    assert {each.partition(" ")[0] for each in rules.named_once(MODULES, set())} == set(PUBLIC_TWICE)


def test_a_folder_is_served_without_what_programs_need() -> None:
    code = "import sys, trickleweb.cli.replica; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "trickleweb.server.service" in loaded
    needed = {"asyncio", "trickleweb.request", "trickleweb.server.exchanges", "trickleweb.server.run"}
    assert not needed & set(loaded)
