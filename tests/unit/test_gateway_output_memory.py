"""The memory of a gateway for what its users have not read: its bound, and who gets how much of it."""

from hypothesis import given
from hypothesis import strategies as st

from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits
from trickles.gateway.output_memory import READER_BYTES, OutputMemory, OutputShare

WINDOW_BYTES = 4 << 20  # of an engine, however much it is allowed


def fill(share: OutputShare, held_bytes: int = 0) -> int:
    """Let an engine ask for all that it may, and return how much it holds then."""
    held_bytes = max(held_bytes, min(share.window_bytes(), WINDOW_BYTES))
    share.note_engine(held_bytes)
    return held_bytes


def reader(memory: OutputMemory) -> OutputShare:
    """A user that has read more than any window."""
    share = OutputShare(memory)
    share.note_read(1 << 30, 0)
    return share


def test_as_many_as_there_may_be_that_read_nothing_hold_less_than_the_bound_and_each_has_its_least() -> None:
    memory = OutputMemory(DEFAULT_LIMITS)
    held = [fill(OutputShare(memory)) for _ in range(DEFAULT_LIMITS.most_connections)]
    assert memory.held_bytes == sum(held) <= DEFAULT_LIMITS.output_bytes
    assert min(held) >= memory.least_bytes - memory.high_bytes > 0
    assert held == sorted(held, reverse=True)
    assert held[0] <= 300_000


def test_as_many_that_stop_when_they_have_read_hold_no_more() -> None:
    memory = OutputMemory(DEFAULT_LIMITS)
    held = [fill(reader(memory)) for _ in range(DEFAULT_LIMITS.most_connections)]
    assert held[0] == WINDOW_BYTES
    assert memory.held_bytes == sum(held) <= DEFAULT_LIMITS.output_bytes
    assert min(held) >= memory.least_bytes - memory.high_bytes


def test_who_reads_has_a_whole_window_beside_hundreds_that_do_not() -> None:
    memory = OutputMemory(DEFAULT_LIMITS)
    for _ in range(800):
        fill(OutputShare(memory))
    assert fill(reader(memory)) == WINDOW_BYTES


def test_a_window_grows_with_what_was_read_and_shrinks_with_what_others_hold() -> None:
    memory = OutputMemory(DEFAULT_LIMITS)
    share = OutputShare(memory)
    first = share.window_bytes()
    share.note_read(1 << 20, 1 << 20)
    assert share.window_bytes() == first, "nothing of it was read"
    share.note_read(2 << 20, 1 << 20)
    assert share.window_bytes() == memory.least_bytes - memory.high_bytes + (1 << 20)
    others = [reader(memory) for _ in range(100)]
    for other in others:
        fill(other)
    assert share.window_bytes() < 1 << 20
    for other in others:
        other.release()
    assert share.window_bytes() > 1 << 20


def test_a_user_reads_once_it_has_read_a_megabyte() -> None:
    share = OutputShare(OutputMemory(DEFAULT_LIMITS))
    assert not share.note_read(READER_BYTES, 1)
    assert share.note_read(2 * READER_BYTES, READER_BYTES)
    assert not share.note_read(3 * READER_BYTES, 0)


def test_what_was_read_is_looked_at_a_few_times_only() -> None:
    share, looks = OutputShare(OutputMemory(DEFAULT_LIMITS)), 0
    for output_bytes in range(0, 1 << 30, 1 << 16):
        if output_bytes >= share.look_at_bytes:
            looks += 1
            share.note_read(output_bytes, 0)
    assert looks < 50


def test_a_bound_that_is_small_for_its_connections_holds_all_the_same() -> None:
    limits = GatewayLimits(output_bytes=1 << 20, most_connections=1000)
    memory = OutputMemory(limits)
    held = [fill(OutputShare(memory)) for _ in range(1000)]
    assert sum(held) <= 1 << 20
    assert min(held) > 0


def test_memory_goes_back_once_when_most_of_it_is_free_again() -> None:
    memory = OutputMemory(DEFAULT_LIMITS)
    shares = [reader(memory) for _ in range(40)]
    for share in shares:
        fill(share)
    assert not memory.has_fallen()
    for share in shares:
        share.release()
    assert memory.has_fallen()
    assert not memory.has_fallen()
    assert memory.held_bytes == 0


STEPS = st.tuples(st.sampled_from(("ask", "take", "read", "stall", "drain", "go")), st.integers(0, 5), st.integers())


@given(st.lists(STEPS, max_size=60))
def test_in_any_order_of_events_the_sum_is_right_and_below_the_bound(steps: list[tuple[str, int, int]]) -> None:
    memory = OutputMemory(GatewayLimits(output_bytes=1 << 16, most_connections=6, output_high_water=1 << 10))
    free_bytes = memory.free_bytes
    shares = [OutputShare(memory) for _ in range(6)]
    engine, transport = [0] * 6, [0] * 6
    for what, who, amount in steps:
        share = shares[who]
        if what == "ask":
            engine[who] = fill(share, engine[who])
        elif what == "read":
            share.note_read(abs(amount) % (1 << 20), 0)
        elif what in ("take", "stall"):  # into the kernel, or into the transport over its high-water mark
            taken = abs(amount) % (engine[who] + 1)
            engine[who] -= taken
            transport[who] += taken if what == "stall" else 0
            if transport[who] > memory.high_bytes:
                share.note_transport(transport[who])
            share.note_engine(engine[who])
        elif what == "drain":
            transport[who] = 0
            share.note_transport(0)
        else:
            engine[who] = transport[who] = 0
            share.release()
        assert memory.held_bytes == sum(engine) + sum(each for each in transport if each > memory.high_bytes)
        assert sum(engine) + sum(transport) <= memory.bound_bytes
    for share in shares:
        share.release()
    assert (memory.held_bytes, memory.free_bytes) == (0, free_bytes)
