"""A user's connection under any order of events: its upstreams are closed once and left alone then, nothing stays."""

import asyncio
import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trickles.client.events import Delivery
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.connection_table import ConnectionTable
from trickles.gateway.context import GatewayContext
from trickles.gateway.downstream import Downstream
from trickles.gateway.limits import GatewayLimits
from trickles.gateway.upstream import NOTHING_DELIVERED, Activity, Callbacks, Opening

LIMITS = GatewayLimits(input_high_water=100, output_high_water=100)
WORDS = Opening(b"welcome ", lambda reason: reason.encode())
LIVELY = (
    *("write", "write much", "close half", "pause_writing", "resume_writing", "end_input"),  # the user
    *("data", "consumed", "connected", "connect", "connect with words", "drain", "stay"),  # the upstream
)
LAST = ("go", "reset", "output_ended", "ended", "failed", "refuse", "refuse_input", "close", "gone", "stop")


class Upstream:
    """Fails the test when it is called out of turn."""

    window_bytes = 50
    delivery: Delivery = NOTHING_DELIVERED

    def __init__(self, activity: Activity) -> None:
        self.activity = activity
        self.waiting_bytes = 0
        self.got = 0
        self.state = "new"

    def start(self, downstream: Callbacks) -> None:
        assert self.state == "new"
        self.state = "started"

    def send(self, data: bytes) -> None:
        assert self.state == "started", "no input after its end"
        self.waiting_bytes += len(data)
        self.got += len(data)

    def send_eof(self) -> None:
        assert self.state == "started"
        self.state = "input ended"

    def pause(self) -> None:
        self.live()

    def resume(self) -> None:
        self.live()

    def request_timed_out(self) -> None:
        assert self.state == "started"

    def close(self) -> None:
        self.live()
        self.state = "closed"

    def live(self) -> None:
        assert self.state in ("started", "input ended")


class Transport(asyncio.Transport):
    """Notes what is done to it; it is lost when the test says so."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock, "peername": ("192.0.2.1", 1), "sslcontext": "no writes past it"})
        self.reading, self.closing, self.ended = True, False, False
        self.buffer = 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        assert not self.ended, "no output after its end"
        self.buffer += len(data)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None

    def get_write_buffer_size(self) -> int:
        return self.buffer


class Scene:
    """One connection and all upstreams that it had."""

    def __init__(self, sock: socket.socket, activity: Activity) -> None:
        self.records = list[ConnectionRecord]()
        self.context = GatewayContext(ConnectionTable(LIMITS), LIMITS, watchers=[self.records.append])
        self.activity = activity
        self.upstreams = list[Upstream]()
        self.transport = Transport(sock)
        self.downstream = Downstream(self.context, lambda _: self.connect())
        self.half_closed = self.lost = False
        self.downstream.connection_made(self.transport)

    def connect(self, opening: Opening | None = None) -> None:
        self.upstreams.append(Upstream(self.activity))
        self.downstream.connect(self.upstreams[-1], opening=opening)

    def lose(self, error: OSError | None) -> None:
        if not self.lost:
            self.lost = self.transport.closing = True
            self.downstream.connection_lost(error)

    def user(self, event: str) -> None:
        """What a loop delivers: nothing of a transport that closes, no bytes while it is not read from."""
        if event in ("go", "reset"):
            self.lose(ConnectionResetError() if event == "reset" else None)
        elif self.transport.closing or self.half_closed or not self.transport.reading:
            return
        elif event == "close half":
            self.half_closed = True
            if not self.downstream.eof_received():
                self.transport.closing = True
        else:
            taken, counts = self.downstream.upstream is not None, self.context.statistics
            before = counts.bytes_in
            self.downstream.data_received(bytes(200 if event == "write much" else 3))
            assert taken or counts.bytes_in == before, "what follows a complete answer is dropped"

    def act(self, event: str) -> None:
        downstream, upstream = self.downstream, self.upstreams[-1]
        if event in ("write", "write much", "close half", "go", "reset"):
            self.user(event)
        elif event in ("pause_writing", "resume_writing"):
            if not self.lost:
                self.transport.buffer = 0 if event == "resume_writing" else self.transport.buffer
                getattr(downstream, event)()
        elif event in ("stop", "end_input"):
            if downstream in self.context.table:
                downstream.stop("idle") if event == "stop" else downstream.end_input()
        elif upstream.state != "closed":
            self.upstream(event)

    def upstream(self, event: str) -> None:
        """What the upstream in force, or its front, may do."""
        downstream, upstream = self.downstream, self.upstreams[-1]
        if self.transport.ended and event in ("data", "refuse", "connected", "connect", "connect with words"):
            return  # no upstream has more to say after its half-close
        if event.startswith("connect "):
            self.connect(WORDS)
        elif event == "connect":
            self.connect()
        elif event in ("stay", "gone"):
            downstream.drain()
            downstream.stay() if event == "stay" else downstream.gone()
        elif event == "consumed":
            upstream.waiting_bytes = 0
            downstream.consumed()
        elif event == "data":
            downstream.data([b"data"])
        elif event == "refuse":
            downstream.refuse("refused", b"no")
        elif event in ("failed", "refuse_input"):
            getattr(downstream, event)(event)
        elif event in ("ended", "output_ended", "drain", "close") or (
            event == "connected" and not self.transport.ended
        ):
            getattr(downstream, event)()

    def check(self) -> None:
        """What holds after every event."""
        *old, newest = self.upstreams
        assert all(upstream.state == "closed" for upstream in old)
        assert self.downstream.upstream is (None if newest.state == "closed" else newest)
        assert (self.downstream in self.context.table) != self.lost
        assert not self.half_closed or newest.state != "started"
        assert len(self.records) <= len(self.upstreams)
        if self.downstream.upstream is not None and self.transport.reading:
            assert newest.waiting_bytes <= LIMITS.input_high_water


@given(
    st.lists(st.sampled_from(LIVELY), max_size=12),
    st.lists(st.sampled_from(LIVELY + LAST), max_size=6),
    st.sampled_from(Activity),
)
def test_no_order_of_events_leaves_anything_or_calls_out_of_turn(
    lively: list[str], last: list[str], activity: Activity
) -> None:
    async def test() -> None:
        with socket.socket() as sock:
            scene = Scene(sock, activity)
            for event in lively + last:
                scene.act(event)
                scene.check()
            scene.lose(None)
            scene.check()
            assert all(upstream.state == "closed" for upstream in scene.upstreams)
            assert not list(scene.context.table)
            counts = scene.context.statistics
            assert counts.accepted == 1
            assert counts.bytes_in >= sum(upstream.got for upstream in scene.upstreams)
            assert counts.completed + counts.failed + counts.reset <= 1
            assert sum(record.bytes_out for record in scene.records) <= counts.bytes_out
            waiting = [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
            assert not waiting

    asyncio.run(test())
