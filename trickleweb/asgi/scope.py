"""A request as an ASGI scope, with uvicorn's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from trickleweb.asgi.messages import EXTENSION, HTTP_SPEC_VERSION, VERSION, Scope
from trickleweb.request import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}


def http_scope(request: Request, *, root_path: str = "", state: Mapping[str, Any] | None = None) -> Scope:
    """Return the scope of a request; `state` comes from the program's lifespan.

    `server` is the host that the client asked for and the client's port is 0, since both would differ between replicas.
    The extension `trickleweb.request` has `now` (microseconds), `idempotency_key` and `entropy(label, byte_count)`, all
    equal when the request is run again.
    """
    head, mount = request.head, mount_of(request)
    known = {"now": request.now, "idempotency_key": request.idempotency_key, "entropy": request.entropy}
    return {
        "type": "http",
        "asgi": {"version": VERSION, "spec_version": HTTP_SPEC_VERSION},
        "http_version": f"{head.version[0]}.{head.version[1]}",
        "server": server_of(request),
        "client": (request.setting.peer, 0) if request.setting.peer else None,
        "scheme": request.scheme,
        "method": head.method,
        "root_path": root_path + mount,
        "path": root_path + (mount + request.path if mount else unquote(head.raw_path)),
        "raw_path": root_path.encode("ascii") + head.raw_path.encode("ascii"),
        "query_string": head.query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
        "state": dict(state or {}),
        "extensions": {EXTENSION: known},
    }


def mount_of(request: Request) -> str:
    """Return the decoded part of the path above the mount, "" if there is none."""
    whole = request.head.path
    return "" if request.path == whole else whole.removesuffix(request.path)


def server_of(request: Request) -> tuple[str, int]:
    """Return the host and port that the client asked for."""
    name, colon, port = request.host.rpartition(":")
    if not colon or name.endswith(":") or port.endswith("]"):  # an IPv6 address has colons of its own
        name, port = request.host, ""
    return name.strip("[]") or "localhost", int(port) if port else _DEFAULT_PORTS.get(request.scheme, 80)
