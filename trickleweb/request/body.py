"""The body of a request, in the usual forms, streamed or whole, within its limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import NamedTuple, Protocol, runtime_checkable

from trickles.keyring import Keyring
from trickleweb.errors import HTTPError, WebError
from trickleweb.forms import (
    DEFAULT_FORM_LIMITS,
    MULTIPART,
    Form,
    FormLimits,
    MultipartReader,
    PartEvent,
    boundary_of,
    read_form,
)
from trickleweb.http1 import too_large
from trickleweb.ledger import Ledger
from trickleweb.limits import DEFAULT_LIMITS
from trickleweb.messages import Length, RequestHead
from trickleweb.parameters import Parametrised, parse_parameters
from trickleweb.plain import Plain, load_plain
from trickleweb.request.departure import ClientDeparture

_CHARSETS = {"utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
_IDENTITY = (("Accept-Encoding", "identity"),)


class NotSetUp(WebError, RuntimeError):
    """A handler used a facility that the application was not set up with; the text names it."""


def _no_routes(name: str, /, **_params: object) -> str:
    raise NotSetUp(f"no routes, so none called {name!r}")


class Setting(NamedTuple):
    """The server's context of a request. One that is run again on another replica gets an equal setting."""

    now: int = 0  # microseconds since 1970
    seed: Callable[[], bytes] = bytes  # gives the 32 secret and random bytes of `Request.entropy`
    peer: str = ""  # the client's address, without port
    idempotency_key: str = ""  # unique to the request, and equal when it is sent again
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    form_limits: FormLimits = DEFAULT_FORM_LIMITS
    url_for: Callable[..., str] = _no_routes
    keyring: Callable[[], Keyring] | None = None  # gives the fleet's current one: keys rotate
    ledger: Ledger | None = None  # shared by the replicas
    whole: bool = True  # see `Request.is_whole`
    departure: ClientDeparture | None = None  # of the client of an unsafe request, noticed by replicas


class BodyNotRead(WebError, RuntimeError):
    """A handler of a streamed body asked for the whole of it: `await request.read()` first."""


class BodyConsumed(WebError, RuntimeError):
    """A body was streamed a second time; it is not kept."""


@runtime_checkable
class SeekableBody(Protocol):
    """A body in a store, which can be read from any of its bytes on."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def after(self, byte_count: int) -> AsyncIterator[bytes]:
        """Yield the bytes after the first `byte_count`."""


class Incoming:
    """A request's head and body.

    `body`, `text`, `json` and `form` are for handlers that take the whole body, which is read before they run; a
    handler of a stream iterates `stream` or `parts`, or awaits `read`.
    """

    __slots__ = ("_body", "_form", "_source", "head", "setting")

    def __init__(
        self, head: RequestHead, body: bytes | AsyncIterable[bytes] = b"", setting: Setting | None = None
    ) -> None:
        self.head = head
        self.setting = setting or Setting()
        self._body = body if isinstance(body, bytes) else None
        self._source = None if isinstance(body, bytes) else body
        self._form: Form | None = None

    @property
    def content_type(self) -> Parametrised:
        """The body's type and its parameters, ("", {}) if there is none."""
        value = self.head.headers.get("content-type")
        if value is None:
            return Parametrised("")
        try:
            return parse_parameters(value)
        except ValueError:
            raise HTTPError(415, "The Content-Type is malformed.") from None

    async def stream(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes from `start` on as they arrive, once; raise `HTTPError` 413 at the first byte over the
        limit.
        """
        if self._body is not None:
            self._check_size(len(self._body))
            if self._body[start:]:
                yield self._body[start:]
            return
        source, self._source = self._source, None
        if source is None:
            raise BodyConsumed("the body was streamed before, and is not kept")
        total = 0
        if isinstance(source, SeekableBody):
            source, total = source.after(start), start
        try:
            self._check_announced()
            async for piece in source:
                total += len(piece)
                self._check_size(total)
                if fresh := piece[-(total - start) :] if total > start else b"":
                    yield fresh
        finally:
            if isinstance(source, AsyncGenerator):  # now, not at garbage collection
                await source.aclose()

    async def read(self) -> bytes:
        """Read and keep the whole body."""
        if self._body is None:
            self._body = b"".join([piece async for piece in self.stream()])
        return self.body

    async def parts(self) -> AsyncGenerator[PartEvent, None]:
        """Yield the parts of a multipart form as they arrive: files of any size need no memory."""
        self._check_coding()
        content_type = self.content_type
        if content_type.value != MULTIPART:
            raise HTTPError(415, "A multipart form is expected.", headers=(("Accept-Post", MULTIPART),))
        reader = MultipartReader(boundary_of(content_type), self.setting.form_limits)
        async with aclosing(self.stream()) as pieces:
            async for piece in pieces:
                for event in reader.feed(piece):
                    yield event
        reader.finish()

    @property
    def body(self) -> bytes:
        """The whole body; raises `BodyNotRead` in a handler that streams and has not awaited `read`."""
        if self._body is None:
            raise BodyNotRead("the body is a stream here: await request.read() first")
        self._check_size(len(self._body))
        return self._body

    def text(self) -> str:
        """Return the body as text, in UTF-8 unless the client names ISO-8859-1 or US-ASCII."""
        self._check_coding()
        charset = _CHARSETS.get(self.content_type.parameters.get("charset", "utf-8").lower())
        if charset is None:
            raise HTTPError(415, "The charset must be UTF-8, US-ASCII or ISO-8859-1.")
        try:
            return self.body.decode(charset)
        except UnicodeDecodeError:
            raise HTTPError(400, f"The body is not {charset}.") from None

    def json(self) -> Plain:
        """Return the value of a JSON body, which is UTF-8 (RFC 8259 8.1)."""
        self._check_coding()
        kind = self.content_type.value
        if kind != "application/json" and not kind.endswith("+json"):
            raise HTTPError(415, "JSON is expected.", headers=(("Accept-Post", "application/json"),))
        try:
            return load_plain(self.body)
        except ValueError as exc:
            raise HTTPError(400, f"The body is not JSON: {_brief(exc)}.") from None

    def form(self) -> Form:
        """Return the fields and files of a form, urlencoded or multipart."""
        if self._form is None:
            self._check_coding()
            self._form = read_form(self.body, self.content_type, self.setting.form_limits)
        return self._form

    def _check_coding(self) -> None:
        """Refuse a compressed body before it can expand (RFC 9110 15.5.16)."""
        if any(coding != "identity" for coding in self.head.headers.tokens("content-encoding")):
            raise HTTPError(415, "Compressed bodies are not accepted.", headers=_IDENTITY)

    def _check_announced(self) -> None:
        if isinstance(self.head.framing, Length):
            self._check_size(self.head.framing.byte_count)

    def _check_size(self, byte_count: int) -> None:
        if byte_count > self.setting.max_body_bytes:
            raise too_large(self.setting.max_body_bytes)


def _brief(error: ValueError) -> str:
    """Return the reason, without any of the body in it."""
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)[:100]
