"""A client engine as bytes, for a gateway of the same version on the same machine to go on with.

Everything a connection is lies in its engine; all that is left out is what the process has anyway: its source of random
bytes, its clock, its rule of trust. Ciphers are made anew from the connection's secret.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import trickles.client
from trickles.client import Client, ClientConfig
from trickles.errors import BadPacket
from trickles.session import Session
from trickles.wire.kinds import Suite

_PLAIN = frozenset({("collections", "deque"), ("collections", "Counter"), ("builtins", "bytearray")})
_PLAIN |= {("builtins", "set"), ("builtins", "frozenset"), ("copyreg", "_reconstructor"), ("builtins", "object")}
_OWN = ("trust", "note_start", "wall")  # what a configuration has of its process
_ENGINE = ("client", "law", "wire")  # and the modules beside them: what an engine is made of


def frozen(client: Client) -> bytes:
    """The whole state of that engine; it must not be used any more if another goes on with it."""
    file = io.BytesIO()
    _Freezer(file, client).dump(client)
    return file.getvalue()


def thawed_untrusted(data: bytes, *, entropy: Callable[[int], bytes], config: ClientConfig) -> Client:
    """The engine whose state that is, with this process's `entropy` and the clock and trust of `config`.

    BadPacket when it is anything else. Only classes of an engine are made, whatever the bytes ask for; but bytes of a
    stranger could still make an engine that is none, so take them from this user's own processes only.
    """
    try:
        found = _Thawer(io.BytesIO(data), entropy, config).load()
    except Exception as error:  # noqa: BLE001 - pickle promises nothing about what damaged bytes raise
        raise BadPacket(f"not a connection that can be gone on with: {type(error).__name__}") from None
    if not isinstance(found, Client):
        raise BadPacket("not a connection")
    return found


@cache
def version() -> bytes:
    """A digest of the source that an engine is made of: between equal ones its state means the same."""
    package = Path(trickles.client.__file__).parent.parent
    files = [*package.glob("*.py"), *(file for name in _ENGINE for file in (package / name).rglob("*.py"))]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(b"%s %d\n" % (str(file.relative_to(package)).encode(), file.stat().st_size))
        digest.update(file.read_bytes())
    return digest.digest()


class _Freezer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, client: Client) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        config = client.state.config
        own = {"entropy": client.state.entropy, **{name: getattr(config, name) for name in _OWN}}
        self._named = {id(value): name for name, value in own.items()}
        self._named.pop(id(None), None)
        self._session = "session", client.greeting.secret, int(config.suite)

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, memoryview):
            return "view", bytes(value)
        return self._session if isinstance(value, Session) else self._named.get(id(value))


class _Thawer(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, entropy: Callable[[int], bytes], config: ClientConfig) -> None:
        super().__init__(file)
        self._own: dict[str, object] = {"entropy": entropy, **{name: getattr(config, name) for name in _OWN}}

    def persistent_load(self, name: Any) -> Any:
        if isinstance(name, str):
            return self._own[name]
        if name[0] == "view":
            return memoryview(name[1])
        return Session(name[1], Suite(name[2]))

    def find_class(self, module: str, name: str) -> Any:
        found = getattr(import_module(module), name) if module.startswith("trickles.") else None
        if isinstance(found, type) and found.__module__.split(".")[1] not in ("drivers", "gateway", "cli", "tools"):
            return found
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a connection")
