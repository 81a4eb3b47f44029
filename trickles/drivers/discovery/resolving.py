"""Names to addresses, by whatever the machine uses for it, without holding up the loop or the end of the process."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

from trickles.drivers.dialer import is_numeric
from trickles.errors import DiscoveryError
from trickles.wire.kinds import Address

__all__ = ["addresses", "is_numeric"]


async def addresses(host: str, port: int) -> list[Address]:
    """All numeric addresses of a host, each once; DiscoveryError when there is none.

    A resolver may take half a minute to fail. Its thread is a daemon: nobody waits for it at the end of the process.
    """
    if is_numeric(host):
        return [(host, port)]
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address] | OSError | UnicodeError] = loop.create_future()

    def tell(result: list[Address] | OSError | UnicodeError) -> None:
        if not found.done():
            found.set_result(result)

    def look_up() -> None:
        try:
            result = _looked_up(host, port)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody waits for ever
            result = OSError(0, f"{type(error).__name__}: {error}")
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, result)

    threading.Thread(target=look_up, daemon=True, name="resolver").start()
    result = await found
    if isinstance(result, list):
        return result
    reason = result.strerror if isinstance(result, OSError) else "not a name"
    raise DiscoveryError(f"cannot find replica {host!r}: {reason}")


def _looked_up(host: str, port: int) -> list[Address] | OSError | UnicodeError:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        return error
    except Exception as error:  # noqa: BLE001 - somebody waits for this thread's answer, whatever it is
        return OSError(None, f"{type(error).__name__}: {error}")
    return list(dict.fromkeys((str(info[4][0]), port) for info in infos))
