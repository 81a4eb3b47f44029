"""`App`, the web application: registration of routes, errors and hooks, and the `Application` interface."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar

from trickles.keyring import Keyring
from trickles.service import Buffer
from trickleweb.app.dispatch import FOLDER_METHODS, Dispatcher, applications
from trickleweb.app.errors import Answer, ErrorHandlers, Key
from trickleweb.app.folders import Folders, Hashing
from trickleweb.app.lifespan import Hook, Lifespan
from trickleweb.app.pool import PoolLimits, WorkerPool
from trickleweb.app.routes import Endpoint, Folder, Routes, Served, mount_path, routed
from trickleweb.app.steps import StepsRegistry
from trickleweb.application import Terms
from trickleweb.asgi import as_asgi
from trickleweb.asgi.messages import AsgiApp, Receive, Scope, Send
from trickleweb.bodies import Steps
from trickleweb.errors import HTTPError
from trickleweb.events import EventStreams
from trickleweb.files import Hasher
from trickleweb.forms import DEFAULT_FORM_LIMITS, FormLimits
from trickleweb.handlers import Middleware
from trickleweb.http1 import check_announced, method_not_allowed
from trickleweb.ledger import Ledger
from trickleweb.limits import DEFAULT_LIMITS
from trickleweb.messages import Length, RequestHead
from trickleweb.request import Request, Setting
from trickleweb.responses import Response
from trickleweb.routing import BadRoute, Found, Missing, NoSuchRoute, NotAllowed, Verdict
from trickleweb.stores import MemoryTopics
from trickleweb.templating import Templates
from trickleweb.topics import Topics

A = TypeVar("A", bound=Answer)
F = TypeVar("F", bound=Hook)
_SMALL_BYTES = 65_536  # a body without a route is read up to this size
Context = Callable[["App"], AbstractAsyncContextManager[Any]]


class App(Routes):
    """A web application: routes, errors, middleware, and the state they share. It is an `Application` and an ASGI
    program.

    `middleware` wraps every request, the first one outermost. `templates` is one folder or several. `lifespan` takes
    the application and returns an async context manager, entered before the first request. `keyring`, `ledger`,
    `topics` and `digests` (a file of the hashes of large files) are used where no fleet provides them: see
    `key_directory`. `state`
    belongs to the handlers of one process; `debug` shows tracebacks to clients. Times are microseconds.
    """

    def __init__(
        self,
        *,
        middleware: Sequence[Middleware] = (),
        templates: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        steps: Iterable[Steps] = (),
        lifespan: Context | None = None,
        debug: bool = False,
        max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
        form_limits: FormLimits = DEFAULT_FORM_LIMITS,
        pool: PoolLimits | None = None,
        keyring: Callable[[], Keyring] | None = None,
        ledger: Ledger | None = None,
        digests: str | os.PathLike[str] | None = None,
        topics: Topics | None = None,
    ) -> None:
        super().__init__()
        self.state = SimpleNamespace()
        self.debug = debug
        self.max_body_bytes = max_body_bytes
        self.form_limits = form_limits
        self.keyring = keyring
        self.ledger = ledger
        self.digests = digests
        self.own_topics = topics
        self._memory_topics = MemoryTopics()
        folders = [templates] if isinstance(templates, str | os.PathLike) else list(templates)
        self.templates = Templates(*folders, reload=debug) if folders else None
        if self.templates is not None:
            self.templates.globals["url_for"] = self.url_for
        self._middleware = list(middleware)
        self._pool = WorkerPool(pool)
        self._errors = ErrorHandlers(self._pool, debug=debug)
        self._lifespan = Lifespan()
        self._context = lifespan
        self._hashing: Hashing | None = None
        self._made: Dispatcher | None = None
        self._asgi: AsgiApp | None = None
        self._above: tuple[App, str] | None = None
        self.add_steps(*steps)

    @property
    def topics(self) -> Topics:
        """The topics of the fleet; outside of one those given, else in the memory of this process."""
        if self.own_topics is not None:
            return self.own_topics
        return self._memory_topics if self._above is None else self._above[0].topics

    # Registration

    @property
    def steps(self) -> StepsRegistry:
        """The steps of the application and of those mounted in it; called, a decorator that adds to them."""
        return self._dispatcher.steps

    @property
    def events(self) -> EventStreams:
        """Registers a source of events, for `Response.events`: `app.events("name", source)`."""
        return EventStreams(self._add_one)

    def add_middleware(self, middleware: Middleware) -> None:
        """Add a middleware, inside those added before."""
        self._middleware.append(middleware)
        self._changed()

    def error(self, key: Key) -> Callable[[A], A]:
        """Decorate the handler of a status or of an exception type: it takes the request and the exception.

        Its result is as a handler's, with the error's status unless it is a `Response`. The handler of 500 or
        `Exception` answers every error without a handler of its own; those are logged too.
        """

        def decorate(answer: A) -> A:
            self._errors.add(key, answer)
            return answer

        return decorate

    def on_startup(self, hook: F) -> F:
        """Decorate a function without arguments that every replica calls before its first request."""
        self._lifespan.starting.append(hook)
        return hook

    def on_shutdown(self, hook: F) -> F:
        """Decorate a function that a replica calls when it stops in order; do not rely on it: replicas are killed."""
        self._lifespan.stopping.append(hook)
        return hook

    def url_for(self, name: str, /, **params: object) -> str:
        """Return the path of a named route, `mount:name` in a mounted App; raise `NoSuchRoute` or `BadParameter`."""
        found = self._own_url(name, params)
        if found is not None:
            return found
        if self._above is not None:
            return self._above[0].url_for(name, **params)
        return self._dispatcher.router.url_for(name, **params)  # whose error lists the names

    # The interface `Application`

    def terms(self, head: RequestHead) -> Terms:
        """Return the terms of a request; one without a body or with a small one is refused later, inside the
        middleware.
        """
        verdict = self._dispatcher.router.match(head.method, head.path)
        if not _is_small(head):
            _check_found(verdict)
        terms = self._terms(verdict, head)
        check_announced(head, terms.max_body_bytes)
        return terms

    async def respond(self, request: Request) -> Response:
        """Return the response; errors are answered by `ErrorHandlers`, so that none is raised."""
        dispatcher = self._dispatcher
        request.app, request.found = self, dispatcher.router.match(request.method, request.path)
        if isinstance(request.found, Found):
            request.params = {**request.params, **request.found.params}
        given = request.setting
        request.setting = Setting(
            now=given.now,
            seed=given.seed,
            peer=given.peer,
            idempotency_key=given.idempotency_key,
            max_body_bytes=given.max_body_bytes,
            form_limits=self.form_limits,
            url_for=self.url_for,
            keyring=self.keyring or given.keyring,
            ledger=self.ledger or given.ledger,
            whole=given.whole,
            departure=given.departure,
        )
        return await dispatcher.respond(request)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        return self._dispatcher.read(content, start, stop)

    async def startup(self) -> None:
        """Enter the lifespan, call the hooks, then start the mounted applications."""
        await self._lifespan.start(self._context(self) if self._context else None, self._dispatcher.mounted.values())
        if any(self.own_folders()):
            self._hashing = Hashing(self._digests)
            self._changed()

    async def shutdown(self) -> None:
        """Undo `startup` in reverse."""
        try:
            await self._lifespan.stop()
        finally:
            self._pool.close()
            self._changed()
            hashing, self._hashing = self._hashing, None
            if hashing is not None:
                hashing.close()

    def drop_caches(self) -> None:
        self._dispatcher.drop_caches()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI program, under uvicorn for instance; see `as_asgi`. Responses do not resume there."""
        self._asgi = self._asgi or as_asgi(self)
        await self._asgi(scope, receive, send)

    @property
    def largest_body_bytes(self) -> int:
        """The largest limit of a route's body, those of mounted Apps included."""
        found = [self.max_body_bytes]
        for each in self._dispatcher.router.routes:
            match each.endpoint.by:
                case Endpoint(max_body_bytes=int(most)):
                    found.append(most)
                case App() as mounted:
                    found.append(mounted.largest_body_bytes)
        return max(found)

    # Internals

    @property
    def _dispatcher(self) -> Dispatcher:
        if self._made is None:
            self._made = self._build()
        return self._made

    def _build(self) -> Dispatcher:
        router = routed(self.entries())
        known = list(self.own_steps())
        for prefix, application in applications(router):
            known += application.steps.steps.values()
            if isinstance(application, App):
                application._hang(self, mount_path(prefix))
        hasher = self._hashing.hasher() if self._hashing else Hasher(time.time_ns)
        return Dispatcher(
            router,
            folders=Folders(self.own_folders(), hasher),
            steps=StepsRegistry(known, self._add_one),
            templates=self.templates,
            errors=self._errors,
            pool=self._pool,
            middleware=self._middleware,
        )

    def _changed(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.drop_caches()

    def _add_one(self, steps: Steps) -> Steps:
        self.add_steps(steps)
        return steps

    def _hang(self, above: App, prefix: str) -> None:
        if self._above not in (None, (above, prefix)):
            raise BadRoute(f"an App is mounted twice, at {prefix!r} too: mount another one")
        self._above = (above, prefix)

    def _own_url(self, name: str, params: dict[str, object]) -> str | None:
        try:
            return self._prefix + self._dispatcher.router.url_for(name, **params)
        except NoSuchRoute:
            pass
        for each in self._dispatcher.router.routes:
            if isinstance(each.endpoint.by, App) and each.name and name.startswith(f"{each.name}:"):
                return each.endpoint.by._own_url(name[len(each.name) + 1 :], params)
        return None

    def _terms(self, verdict: Verdict[Served], head: RequestHead) -> Terms:
        if not isinstance(verdict, Found):
            return Terms(max_body_bytes=_SMALL_BYTES)
        match verdict.endpoint.by:
            case Endpoint() as endpoint:
                own = endpoint.max_body_bytes
                limit = self.max_body_bytes if own is None else own
                return Terms(max_body_bytes=limit, repeatable=endpoint.repeatable, partial=endpoint.partial)
            case Folder():
                if head.method not in FOLDER_METHODS and not _is_small(head):
                    raise method_not_allowed(FOLDER_METHODS)
                return Terms(max_body_bytes=_SMALL_BYTES)
            case application:
                return application.terms(replace(head, path=verdict.rest))

    @property
    def _digests(self) -> str | os.PathLike[str] | None:
        return self.digests if self.digests is not None or self._above is None else self._above[0]._digests

    @property
    def _prefix(self) -> str:
        return "" if self._above is None else self._above[0]._prefix + self._above[1]


def _is_small(head: RequestHead) -> bool:
    """Return whether a body without a route is small enough to be read, so that the application's own error page
    answers.
    """
    size = head.framing.byte_count if isinstance(head.framing, Length) else 0
    return size <= _SMALL_BYTES and not head.expect_continue


def _check_found(verdict: Verdict[Any]) -> None:
    if isinstance(verdict, NotAllowed):
        raise method_not_allowed(verdict.allow)
    if isinstance(verdict, Missing):
        raise HTTPError(404)
