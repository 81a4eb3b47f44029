"""An MCP server over streamable HTTP, stateless: a tool that reports progress, and one that has an effect."""

import anyio
from mcp.server.mcpserver import Context, MCPServer

from benchmarks.applications.programs.database import database

STEPS, STEP_SECONDS = 10, 0.05
server = MCPServer("notes")


@server.tool()
async def count(context: Context, upto: int = STEPS) -> str:
    """Count slowly, with a progress notification for each step."""
    for number in range(1, upto + 1):
        await anyio.sleep(STEP_SECONDS)
        await context.report_progress(number, upto, f"step {number}")
    return f"counted to {upto}"


@server.tool()
def add(title: str) -> str:
    """Add a note."""
    with database() as rows:
        rows.execute("INSERT INTO notes (title, text) VALUES (?, '')", (title,))
    return f"{title} was added"


@server.resource("notes://all")
def notes() -> str:
    """Say what this is."""
    return "notes of a benchmark"


app = server.streamable_http_app(stateless_http=True)
