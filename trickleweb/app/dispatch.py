"""Answer requests after registration: match the route, run middleware and handler, resolve the body."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from trickles.service import Buffer
from trickleweb.app.errors import ErrorHandlers
from trickleweb.app.folders import Folders, as_page, plain_get, with_file
from trickleweb.app.pool import WorkerPool
from trickleweb.app.routes import Endpoint, Folder, Served
from trickleweb.app.steps import StepsRegistry
from trickleweb.application import Application
from trickleweb.bodies import Complete, FileBody, Rendered, Stepped, Streamed
from trickleweb.containment import Contained
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, HashPending
from trickleweb.handlers import Handler, Middleware
from trickleweb.http1 import method_not_allowed, unavailable
from trickleweb.messages import Plan, RequestHead
from trickleweb.paths import quote_path
from trickleweb.request import NotSetUp, Request
from trickleweb.responses import Response, as_response
from trickleweb.routing import Found, Mount, Moved, NotAllowed, Options, Router, Verdict
from trickleweb.templating import Templates

FOLDER_METHODS = ("GET", "HEAD", "OPTIONS")
_HASH_LOOKS, _HASH_PAUSE_S = 100, 0.05  # 5 s for the hash of a file that was just written
_CONTAINED = Contained("the handler")


class Dispatcher:
    """Answers requests with the routes, folders and steps registered; its caches can be dropped at any time."""

    def __init__(
        self,
        router: Router[Served],
        *,
        folders: Folders,
        steps: StepsRegistry,
        templates: Templates | None,
        errors: ErrorHandlers,
        pool: WorkerPool,
        middleware: Sequence[Middleware],
    ) -> None:
        self.router = router
        self.folders = folders
        self.steps = steps
        self.mounted = dict(applications(router))
        self._templates = templates
        self._errors = errors
        self._pool = pool
        self._handler = errors.composed(self._answer, middleware, self._resolved)
        self._inner = {id(each.endpoint): self._inside(each.endpoint.middleware) for each in router.routes}

    async def respond(self, request: Request) -> Response:
        """Return the response to a request that has its `found`."""
        try:
            with _CONTAINED:
                return await self._resolved(request, await self._handler(request))
        except Exception as error:  # noqa: BLE001 - every failure gets a response
            return await self._errors.last(request, error, self._resolved)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        try:
            return self.folders.read(content, start, stop)
        except ContentNotHere:
            for application in self.mounted.values():
                try:
                    return application.read(content, start, stop)
                except ContentNotHere:
                    continue
            raise

    def drop_caches(self) -> None:
        self.folders.drop_caches()

    async def _answer(self, request: Request) -> Response:
        verdict: Verdict[Served] = request.found
        match verdict:
            case Found():
                return await self._inner[id(verdict.endpoint)](request)
            case Options(allow=allow):
                return Response.empty(headers=(("Allow", ", ".join(allow)),))
            case NotAllowed(allow=allow):
                raise method_not_allowed(allow)
            case Moved(path=path):
                return Response.redirect(_mounted_url(request, path), status=308)
        raise HTTPError(404)

    def _inside(self, middleware: Sequence[Middleware]) -> Handler:
        return self._errors.composed(self._found, middleware, self._resolved) if middleware else self._found

    async def _found(self, request: Request) -> Response:
        found: Found[Served] = request.found
        match found.endpoint.by:
            case Endpoint(handler=handler) as endpoint:
                if not endpoint.stream:
                    await request.read()
                given = endpoint.arguments(found.params)
                call = handler(request, **given) if endpoint.is_async else self._pool.call(handler, request, **given)
                return await self._resolved(request, as_response(await call))
            case Folder() as folder:
                return await self._from_folder(request, folder, found.rest)
            case application:
                return await application.respond(request.below(found.rest, found.params))

    async def _resolved(self, request: Request, response: Response) -> Response:
        """Return the response with a body that a server can send; a bad body becomes an error page."""
        match response.body:
            case FileBody() as body:
                return await self._filed(request, response, body)
            case Rendered(streaming=True) as body:
                return replace(response, body=Streamed(self._own_templates().stream(body.template, body.context)))
            case Rendered() as body:
                return replace(response, body=Complete(self._own_templates().render(body.template, body.context)))
            case Stepped() as body:
                self.steps.check(body)
        return response

    async def _filed(self, request: Request, response: Response, body: FileBody) -> Response:
        if response.status == 200:
            return with_file(response, await self._planned(body, request.head))
        return as_page(response, await self._planned(body, plain_get(request.head)), self.read)

    async def _planned(self, body: FileBody, head: RequestHead) -> Plan:
        """Return the plan of a file once its hash is known; raise 503 after 5 seconds."""
        for _ in range(_HASH_LOOKS):
            try:
                return self.folders.plan(body, head)
            except HashPending:
                await asyncio.sleep(_HASH_PAUSE_S)
        raise unavailable("The file is being hashed.")

    async def _from_folder(self, request: Request, folder: Folder, rest: str) -> Response:
        if request.method == "OPTIONS":
            return Response.empty(headers=(("Allow", ", ".join(FOLDER_METHODS)),))
        if request.method not in FOLDER_METHODS:
            raise method_not_allowed(FOLDER_METHODS)
        body = FileBody(rest[1:], folder.name)
        try:
            return await self._filed(request, Response(body=body), body)
        except HTTPError as error:
            page = self.folders.error_page(folder.name, error)
            if page is None:
                raise
            return page

    def _own_templates(self) -> Templates:
        if self._templates is None:
            raise NotSetUp("no templates: App(templates=folder)")
        return self._templates


def applications(router: Router[Served]) -> Iterator[tuple[str, Application]]:
    """Yield the mounted applications with their prefixes."""
    for each in router.routes:
        if isinstance(each, Mount) and not isinstance(each.endpoint.by, Folder | Endpoint):
            yield each.prefix, each.endpoint.by


def _mounted_url(request: Request, path: str) -> str:
    """Return the URL of another path below the same mount, with the request's query."""
    above = request.head.path.removesuffix(request.path)
    query = f"?{request.head.query}" if request.head.query else ""
    return quote_path(above + path) + query
