"""Whatever a client asks of a program's response, and whatever bytes a state has: chunks or a refusal."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.offered import offered
from tests.support.origins import event, get, output, spool, status
from tests.support.programs import Fleet, asked, begun, replied, with_fleet
from trickles.service import Refusal, Reply
from trickleweb.server.errors import refusal_of, reported


def wants() -> Any:
    numbers = st.integers(0, 300_000) | st.sampled_from([0, 1, 1 << 32, 1 << 60, (1 << 62) - 1])
    return st.lists(st.tuples(numbers, numbers), max_size=6)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/large", "/stream", "/rows", "/failing"])
def test_hostile_wants_get_what_is_there_and_no_more(path: str) -> None:
    @given(wants(), st.integers(0, 1 << 20))
    @settings(max_examples=40)
    def check(wanted: list[tuple[int, int]], budget: int) -> None:
        async def test(fleet: Fleet) -> None:
            origin = fleet.replica()
            response, known = await begun(origin, get(path))
            if path == "/failing" or known.more:
                wanted.append((0, 1))
            reply = await asked(origin, event(b"", known, *(wanted or [(0, 0)]), budget=budget))
            if reply.refusal is None:
                assert sum(len(data) for _, data in reply.chunks) <= budget
                assert all(response[at:].startswith(bytes(data)) for at, data in reply.chunks)
            else:
                assert path == "/failing"

        with_fleet(offered, test)

    check()


@pytest.mark.parametrize("path", ["/", "/large", "/stream", "/rows"])
def test_no_state_whatever_its_bytes_gets_more_than_a_refusal(path: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get(path))
        changed = [known.state[:at] for at in range(0, len(known.state), 3)]
        for at in range(len(known.state)):
            changed.append(bytes((*known.state[:at], known.state[at] ^ 0x5A, *known.state[at + 1 :])))
        changed += [bytes([form]) + filling for form in range(16) for filling in (b"", bytes(700), b"\xff" * 60)]
        for state in changed:
            reply = await asked(second, event(b"", known._replace(state=state), (0, 300)))
            if reply.refusal is None:  # of a field that says nothing of the bytes
                assert response.startswith(output(reply)) or state[2:] != known.state[2:]
        for stop in (None, 0, 1, 1 << 61):
            reply = await asked(second, event(b"", known._replace(stop=stop), (0, 10)))
            assert reply.refusal is not None or output(reply) in response

    with_fleet(offered, test)


@pytest.mark.parametrize(
    "head",
    [b"NONSENSE\r\n\r\n", get("/echo", "Transfer-Encoding: chunked", "Transfer-Encoding: x", method="POST")],
)
def test_much_input_that_is_no_request_is_refused_as_little_is(head: bytes) -> None:
    data = head + bytes(5 << 20)

    async def test(fleet: Fleet) -> None:
        reply = await asked(fleet.replica(), event(data[:1000], spooled=spool(data)))
        assert status(output(reply)) in {400, 501}
        assert fleet.errors == []

    with_fleet(offered, test)


@pytest.mark.parametrize(("size", "code"), [(5 << 20, 400), (20 << 20, 413)])
def test_many_chunks_that_are_none_are_refused_as_few_are(size: int, code: int) -> None:
    chunks = b"10000\r\n%b\r\n" % bytes(1 << 16) * (size >> 16) + b"zz"
    data = get("/echo", "Transfer-Encoding: chunked", method="POST") + chunks

    async def test(fleet: Fleet) -> None:
        reply = await asked(fleet.replica(), event(data[:1000], spooled=spool(data)))
        assert status(output(reply)) == code
        assert fleet.errors == []

    with_fleet(offered, test)


def test_an_event_that_nobody_foresaw_is_answered_and_reported() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        at_once = origin.handle(event(None))  # type: ignore[arg-type]
        assert at_once == Reply(refusal=Refusal.GONE)
        begun_later = origin.handle(event(get())._replace(wants=None))  # type: ignore[arg-type]
        assert await replied(begun_later) == Reply(refusal=Refusal.GONE)
        assert [type(each) for each in fleet.errors] == [TypeError, TypeError]

    with_fleet(offered, test)


def test_refusals_for_the_unforeseen_say_that_it_is_over() -> None:
    oops = KeyError("oops")
    assert refusal_of(oops) == Reply(refusal=Refusal.GONE)
    assert reported(oops) is oops
