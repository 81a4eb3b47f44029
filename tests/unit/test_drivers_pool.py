"""Buffers used again: never while somebody looks at them, always when nobody does."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.bursts import Burst, coalescing, pattern, segmenting, wait_readable
from trickles.drivers.pool import BufferPool
from trickles.drivers.udp import BatchSocket

SIZE = 16


def fill(pool: BufferPool, mark: int) -> memoryview:
    buffer = pool.take()
    assert len(buffer) >= SIZE
    buffer[:SIZE] = bytes([mark]) * SIZE
    return pool.lend(buffer, SIZE)


@given(st.lists(st.one_of(st.just("lend"), st.just("reclaim"), st.integers(0, 20)), max_size=60))
def test_what_is_held_never_changes(steps: list[str | int]) -> None:
    pool = BufferPool(SIZE, keep=3)
    held: dict[int, memoryview] = {}
    for mark, step in enumerate(steps):
        if step == "lend":
            held[mark] = fill(pool, mark)[4:12]  # a slice keeps the whole
        elif step == "reclaim":
            pool.reclaim()
        elif held:
            del held[sorted(held)[int(step) % len(held)]]
        assert all(view == bytes([mark]) * 8 for mark, view in held.items())


def test_a_buffer_is_used_again_once_its_last_view_is_gone() -> None:
    pool = BufferPool(SIZE, keep=3)
    first = pool.take()
    view = pool.lend(first, SIZE)
    piece = view[2:5]
    del view
    pool.reclaim()
    assert pool.take() is not first
    del piece
    pool.reclaim()
    assert pool.take() is first


def test_idle_buffers_are_bounded() -> None:
    pool = BufferPool(SIZE, keep=3)
    before = [pool.take() for _ in range(10)]
    views = [pool.lend(buffer, SIZE) for buffer in before]
    views.clear()
    pool.reclaim()
    again = [pool.take() for _ in range(10)]
    assert sum(any(new is old for old in before) for new in again) == 3


def test_received_buffers_that_are_kept_survive_what_arrives_later() -> None:
    with coalescing(BatchSocket.bind("127.0.0.1", 0)) as server, segmenting(BatchSocket.unbound()) as client:
        kept = []
        for number in range(8):
            assert client.send(Burst(server.address, 1400, [pattern(10_000, start=number)])) == 8
            wait_readable(server)
            [(buffer, segment_bytes, _)] = server.receive()
            assert segment_bytes == 1400
            kept.append(memoryview(buffer)[1000:9000])
        assert kept == [pattern(10_000, start=number)[1000:9000] for number in range(8)]
