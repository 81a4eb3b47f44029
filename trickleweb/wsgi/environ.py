"""A request as a WSGI environment (PEP 3333)."""

from __future__ import annotations

import sys
from typing import IO, Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from trickleweb.asgi.application import mount_of, server_of
from trickleweb.messages import Length
from trickleweb.request import Request

_OWN_NAMES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_BLOCK_BYTES = 65_536
EXTENSION = "trickleweb.request"  # the `Request`, with `now`, `entropy`, `idempotency_key`


class LargeBlocks(FileWrapper):
    """`wsgi.file_wrapper` with blocks of at least 64 KiB, as each costs a change of threads."""

    def __init__(self, filelike: Any, blksize: int = _BLOCK_BYTES) -> None:
        super().__init__(filelike, max(blksize, _BLOCK_BYTES))


def environ_of(request: Request, body: IO[bytes], *, script_name: str = "") -> dict[str, Any]:
    """Return the environment of a request; `script_name` is the program's mount, "" for the root.

    Texts are bytes in Latin-1, as the PEP requires. Fields with an underscore in their name are left out: they would
    look like those with a dash. Repeated fields are joined.
    """
    head = request.head
    name, port = server_of(request)
    mount = mount_of(request)
    path = request.path.encode("utf-8") if mount else unquote_to_bytes(head.raw_path)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": script_name + mount.encode("utf-8").decode("latin-1"),
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": head.query,
        "REQUEST_URI": head.target,
        "SERVER_NAME": name,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{head.version[0]}.{head.version[1]}",
        "SERVER_SOFTWARE": "trickleweb",
        "REMOTE_ADDR": request.setting.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,  # reading to its end is safe, whatever the length
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": LargeBlocks,
        EXTENSION: request,
    }
    return environ | _fields(request)


def _fields(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers:
        if "_" in name:
            continue
        key = _OWN_NAMES.get(name) or "HTTP_" + name.upper().replace("-", "_")
        separator = "; " if name == "cookie" else ","
        found[key] = f"{found[key]}{separator}{value}" if key in found else value
    if not isinstance(request.head.framing, Length):
        found.pop("CONTENT_LENGTH", None)
    return found
