"""The applications: a table, one row for each."""

from dataclasses import dataclass, replace

PROGRAMS, CLIENTS = "benchmarks.applications.programs", "benchmarks.applications.clients"


@dataclass(frozen=True, slots=True)
class Program:
    """An application as it is served: `target` is MODULE:ATTRIBUTE, `client` the module with the visits."""

    name: str
    client_name: str
    target: str
    client: str
    packages: tuple[str, ...]  # that can be imported where it runs
    wsgi: bool = False
    prepare: str = ""  # module that makes its data first
    options: tuple[str, ...] = ()  # of `trickleweb run`
    in_memory: bool = False  # it keeps what clients ask for next: it has one replica, and that is not killed


def ours(
    name: str,
    client_name: str,
    module: str,
    packages: str,
    *,
    attribute: str = "app",
    client: str = "",
    wsgi: bool = False,
    prepare: str = "",
    options: tuple[str, ...] = (),
    in_memory: bool = False,
) -> Program:
    """A program of this folder."""
    return Program(
        name,
        client_name,
        f"{PROGRAMS}.{module}:{attribute}",
        f"{CLIENTS}.{client or module}",
        tuple(packages.split()),
        wsgi=wsgi,
        options=options,
        prepare=f"{PROGRAMS}.{prepare}" if prepare else "",
        in_memory=in_memory,
    )


ALONE = ("--replicas", "1", "--policy", "home")
CATALOGUE = (
    ours(
        "Django admin, ASGI",
        "requests",
        "django_site.served",
        "django whitenoise requests bs4",
        attribute="asgi",
        client="django_site",
        prepare="django_site.prepare",
    ),
    ours(
        "Django admin, WSGI",
        "requests",
        "django_site.served",
        "django whitenoise requests bs4 gunicorn",
        attribute="wsgi",
        client="django_site",
        prepare="django_site.prepare",
        wsgi=True,
    ),
    ours("FastAPI", "httpx", "fastapi_site", "fastapi httpx multipart"),
    ours("Starlette, event streams", "httpx, as EventSource", "starlette_site", "starlette httpx"),
    ours("Flask", "requests", "flask_site", "flask requests", wsgi=True),
    ours("Quart", "httpx", "quart_site", "quart httpx"),
    ours("Litestar", "httpx", "litestar_site", "litestar httpx"),
    ours("Datasette", "httpx", "datasette_site", "datasette httpx", prepare="datasette_site"),
    ours("MCP server", "mcp, the official client", "mcp_site", "mcp"),
    ours("Completions, FastAPI", "openai", "completions_site", "openai fastapi"),
    ours("WsgiDAV", "webdavclient3", "webdav_site", "wsgidav webdav3 gunicorn", wsgi=True),
    replace(
        ours("Radicale", "caldav", "radicale_site", "radicale caldav gunicorn", wsgi=True, prepare="radicale_prepare"),
        target="radicale:application",
    ),
    ours("pypiserver", "twine, pip", "pypi_site", "pypiserver twine pip gunicorn", wsgi=True),
    ours("Gradio, one replica", "gradio_client", "gradio_site", "gradio gradio_client", options=ALONE, in_memory=True),
)
