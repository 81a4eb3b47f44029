"""Resolution of names by the system, without blocking the loop or the end of the process."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from trickles.drivers.dialer import is_numeric, look_up
from trickles.errors import DiscoveryError
from trickles.wire.kinds import Address

__all__ = ["addresses", "is_numeric"]


async def addresses(host: str, port: int) -> list[Address]:
    """Return all numeric addresses of a host, each once; DiscoveryError when there is none.

    A resolver may take half a minute to fail, so its thread is a daemon, which does not delay the end of the process.
    """
    if is_numeric(host):
        return [(host, port)]
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address] | OSError | UnicodeError] = loop.create_future()

    def settle(result: list[Address] | OSError | UnicodeError) -> None:
        if not found.done():
            found.set_result(result)

    def look_up() -> None:
        result = _looked_up(host, port)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=look_up, daemon=True, name="resolver").start()
    result = await found
    if isinstance(result, list):
        return result
    reason = result.strerror if isinstance(result, OSError) else "not a name"
    raise DiscoveryError(f"cannot find replica {host!r}: {reason}")


def _looked_up(host: str, port: int) -> list[Address] | OSError | UnicodeError:
    try:
        return look_up(host, port)
    except (OSError, UnicodeError) as error:
        return error
    except Exception as error:  # noqa: BLE001 - the caller waits for this thread's answer
        return OSError(None, f"{type(error).__name__}: {error}")
