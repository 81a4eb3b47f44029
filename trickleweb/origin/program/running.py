"""One request put to the program: what it is told beside the request, and what becomes of an exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from trickles.keyring import Keyring
from trickleweb.application import Application
from trickleweb.errors import HTTPError
from trickleweb.ledger import Ledger
from trickleweb.origin.program.moment import Moment
from trickleweb.origin.program.production import BrokenOff
from trickleweb.origin.program.taking import Taken
from trickleweb.request import Request, Setting
from trickleweb.responses import Response, error_response
from trickleweb.responses.response import NoResponse

Body = bytes | AsyncIterator[bytes]
_KEY_CHARS = 32


class Runner:
    """Runs requests; `on_error` is told what the program should not have raised."""

    def __init__(
        self,
        application: Application,
        ring: Callable[[], Keyring],
        ledger: Ledger,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.application = application
        self.on_error = on_error
        self._ring = ring
        self._ledger = ledger

    async def run(self, taken: Taken, body: Body, moment: Moment, *, peer: str, key: bytes) -> Response:
        """The program's response to a request with that body; 500 for what it raises."""
        setting = Setting(
            now=moment.now,
            seed=moment.entropy,
            peer=peer,
            idempotency_key=key.hex()[:_KEY_CHARS],
            max_body_bytes=taken.terms.max_body_bytes,
            keyring=self._ring,
            ledger=self._ledger,
        )
        request = Request(taken.head, body, setting)
        try:
            response: object = await self.application.respond(request)
            if isinstance(response, Response):
                return response
            self.on_error(NoResponse(f"the application answered with {type(response).__name__}"))
        except HTTPError as error:
            return error_response(request, error)
        except Exception as error:  # noqa: BLE001 - a response of its own, whatever happened
            self.on_error(error)
        except (asyncio.CancelledError, SystemExit) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.on_error(BrokenOff(f"the program ended a request with {error!r}"))
        return error_response(request, HTTPError(500))
