"""The applications: a table, one row for each."""

from dataclasses import dataclass

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


def ours(
    name: str,
    client_name: str,
    module: str,
    packages: str,
    *,
    attribute: str = "app",
    client: str = "",
    wsgi: bool = False,
    options: tuple[str, ...] = (),
    prepare: str = "",
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
    )


CATALOGUE = (
    ours("FastAPI", "httpx", "fastapi_site", "fastapi httpx multipart"),
    ours("Starlette, event streams", "httpx, as EventSource", "starlette_site", "starlette httpx"),
    ours("Flask", "requests", "flask_site", "flask requests", wsgi=True),
)
