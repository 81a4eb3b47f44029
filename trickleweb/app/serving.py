"""How an application answers, once all is registered: what its router finds, inside its middleware."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from trickles.service import Buffer
from trickleweb.app.endpoints import Endpoint
from trickleweb.app.failures import Failures
from trickleweb.app.filing import as_page, without_file
from trickleweb.app.folders import Folders, plain_get
from trickleweb.app.mounted import NotMounted, lifted, split
from trickleweb.app.pool import WorkerPool
from trickleweb.app.registry import Folder, Served
from trickleweb.app.steps import StepsRegistry
from trickleweb.application import Application
from trickleweb.bodies import FileBody, Rendered, Stepped, Streamed
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, HashPending
from trickleweb.files.recent import Recent
from trickleweb.handlers import Handler, Middleware
from trickleweb.http1 import method_not_allowed, unavailable
from trickleweb.messages import Plan
from trickleweb.messages import Request as Head
from trickleweb.paths import quote_path
from trickleweb.request import NotSetUp, Request
from trickleweb.responses import Response, as_response
from trickleweb.routing import Found, Mount, Moved, NotAllowed, Options, Router, Verdict
from trickleweb.templating import Templates

FOLDER_METHODS = ("GET", "HEAD", "OPTIONS")
_OVERHEAD_BYTES = 1000  # of one page with its values
_RENDERED_BYTES = 4 << 20  # of pages that were rendered to see whether they can be, until they are sent


class Serving:
    """Answers requests; all that it remembers can be dropped at any time."""

    def __init__(
        self,
        router: Router[Served],
        *,
        folders: Folders,
        steps: StepsRegistry,
        templates: Templates | None,
        failures: Failures,
        pool: WorkerPool,
        middleware: Sequence[Middleware],
    ) -> None:
        self.router = router
        self.folders = folders
        self.steps = steps
        self.mounted = dict(applications(router))
        self._templates = templates
        self._failures = failures
        self._pool = pool
        self._handler = failures.composed(self._answer, middleware, self._settled)
        self._inner = {id(each.endpoint): self._inside(each.endpoint.middleware) for each in router.routes}
        self._rendered: Recent[int, tuple[Rendered, bytes]] = Recent(_RENDERED_BYTES)

    async def respond(self, request: Request) -> Response:
        """The response to a request whose `found` is there."""
        try:
            return await self._handler(request)
        except Exception as error:  # noqa: BLE001 - a response of its own, whatever happened
            return await self._failures.last(request, error, self._settled)

    def render(self, body: Rendered) -> bytes:
        """As `Application.render`."""
        prefix, name = split(body.template)
        if prefix is not None:
            return self._mounted(prefix).render(replace(body, template=name))
        known = self._rendered.get(id(body))
        if known is not None and known[0] is body:
            return known[1]
        return self._own_templates().render(name, body.context)

    def file_plan(self, body: FileBody, head: Head) -> Plan:
        """As `Application.file_plan`."""
        prefix, name = split(body.folder)
        if prefix is not None:
            return self._mounted(prefix).file_plan(replace(body, folder=name), head)
        return self.folders.plan(body, head)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """As `Application.read`."""
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
        """Forget all that only makes things faster."""
        self._rendered.clear()
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
                return Response.redirect(_beside(request, path), status=308)
        raise HTTPError(404)

    def _inside(self, middleware: Sequence[Middleware]) -> Handler:
        return self._failures.composed(self._found, middleware, self._settled) if middleware else self._found

    async def _found(self, request: Request) -> Response:
        found: Found[Served] = request.found
        match found.endpoint.by:
            case Endpoint(handler=handler) as endpoint:
                if not endpoint.stream:
                    await request.read()
                given = endpoint.arguments(found.params)
                if endpoint.is_async:
                    return self._settled(request, as_response(await handler(request, **given)))
                return self._settled(request, as_response(await self._pool.call(handler, request, **given)))
            case Folder() as folder:
                return self._from_folder(request, folder, found.rest)
            case application:
                assert isinstance(found.by, Mount)
                response = await application.respond(request.below(found.rest, found.params))
                return lifted(response, found.by.prefix)

    def _settled(self, request: Request, response: Response) -> Response:
        """The response, with what can be wrong with its body told here, where it becomes an error page."""
        match response.body:
            case FileBody() as body:
                return self._filed(request, response, body)
            case Rendered(streaming=True) as body:
                return replace(response, body=Streamed(self._own_templates().stream(body.template, body.context)))
            case Rendered() as body:
                text = self.render(body)
                self._rendered.put(id(body), (body, text), len(text) + _OVERHEAD_BYTES)
            case Stepped() as body:
                self.steps.check(body)
        return response

    def _filed(self, request: Request, response: Response, body: FileBody) -> Response:
        try:
            if response.status == 200:
                return without_file(response, self.file_plan(body, request.head))
            return as_page(response, self.file_plan(body, plain_get(request.head)), self.read)
        except HashPending:
            if response.status == 200:  # whoever sends it will ask again
                return response
            raise unavailable("The file is being looked at.") from None

    def _from_folder(self, request: Request, folder: Folder, rest: str) -> Response:
        if request.method == "OPTIONS":
            return Response.empty(headers=(("Allow", ", ".join(FOLDER_METHODS)),))
        if request.method not in FOLDER_METHODS:
            raise method_not_allowed(FOLDER_METHODS)
        body = FileBody(rest[1:], folder.name)
        try:
            return self._filed(request, Response(body=body), body)
        except HTTPError as error:
            page = self.folders.error_page(folder.name, error)
            if page is None:
                raise
            return page

    def _own_templates(self) -> Templates:
        if self._templates is None:
            raise NotSetUp("no templates: App(templates=folder)")
        return self._templates

    def _mounted(self, prefix: str) -> Application:
        if prefix not in self.mounted:
            raise NotMounted(f"nothing is mounted at {prefix!r}")
        return self.mounted[prefix]


def applications(router: Router[Served]) -> Iterator[tuple[str, Application]]:
    """What is mounted, by prefix."""
    for each in router.routes:
        if isinstance(each, Mount) and not isinstance(each.endpoint.by, Folder | Endpoint):
            yield each.prefix, each.endpoint.by


def _beside(request: Request, path: str) -> str:
    """The URL of another path beside the request's own, below the same mount, with its query."""
    above = request.head.path.removesuffix(request.path)
    query = f"?{request.head.query}" if request.head.query else ""
    return quote_path(above + path) + query
