"""Wait on the event loop for input that a spool must fetch, or look for, first."""

from __future__ import annotations

from trickles.errors import InputBusy

MOST_FETCHES = 64  # for one part of the input: a store over a network is away then, for some seconds


async def fetched(busy: InputBusy) -> None:
    """Return when it is worth to ask the spool again; other tasks run meanwhile."""
    import asyncio  # only here: a replica of files needs none

    if busy.ready is None:
        await asyncio.sleep(0)
        return
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    busy.ready.then(lambda _: None if future.done() else future.set_result(None))
    await future
