"""A visit to the MCP server by the official client."""

import anyio
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import UnknownOutcome, User

TIMEOUT_SECONDS = 30.0
BROKE_OFF = "stream ended without a response"  # of the client


def visit(user: User) -> None:
    anyio.run(visited, user)


async def visited(user: User) -> None:
    async with Client(f"{user.url}/mcp") as client:
        with user.step("tools"):
            tools = await client.list_tools()
            user.shows("tools", [each.model_dump(mode="json") for each in tools.tools])
        with user.step("resource"):
            resource = await client.read_resource("notes://all")
            user.shows("resource", [str(getattr(each, "text", "")) for each in resource.contents])
        with user.step("add", effect=user.name):
            added = await client.call_tool("add", {"title": user.name}, read_timeout_seconds=TIMEOUT_SECONDS)
            assert not added.is_error, added
            user.shows("add", [str(getattr(each, "text", "")) for each in added.content])
        with user.step("count"):
            user.shows("count", await counted(client))


async def counted(client: Client) -> list[object]:
    """The progress of a slow tool, and its result; UnknownOutcome if its stream breaks off, and visibly so."""
    seen: list[object] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append([done, total, message])

    try:
        result = await client.call_tool("count", {}, read_timeout_seconds=TIMEOUT_SECONDS, progress_callback=progress)
    except MCPError as error:
        if BROKE_OFF in str(error):
            raise UnknownOutcome(f"broke off after {len(seen)} steps") from error
        raise
    return [*seen, [str(getattr(each, "text", "")) for each in result.content]]
