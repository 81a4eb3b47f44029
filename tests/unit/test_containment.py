"""Exceptions that are no `Exception` become errors of their request; those from outside are passed on."""

import asyncio
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.programs import on_loop
from trickleweb.containment import BrokenOff, Contained, contained

UNUSUAL = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]


@pytest.fixture
def a_server() -> Iterator[None]:
    """SIGINT as in a server, which has a handler of its own."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


def meet(error: BaseException) -> None:
    with Contained("the test"):
        raise error


def broken(error: BaseException) -> None:
    raise error


@pytest.mark.usefixtures("a_server")
@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_exception_that_would_end_more_than_its_request_is_replaced(kind: type[BaseException]) -> None:
    async def run() -> None:
        error = kind("why")
        with pytest.raises(BrokenOff, match=r"^the test ended with .*why") as raised:
            meet(error)
        assert raised.value.__cause__ is error

    on_loop(run())


def test_other_exceptions_pass() -> None:
    with pytest.raises(ValueError, match="why"):
        meet(ValueError("why"))


def test_a_cancelled_task_is_ended() -> None:
    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            meet(asyncio.CancelledError())
        with pytest.raises(asyncio.CancelledError):  # the one of the task
            await asyncio.sleep(0)
        task.uncancel()

    on_loop(run())


def test_a_task_group_of_a_handler_fails_as_one() -> None:
    async def fail() -> None:
        raise GeneratorExit

    async def run() -> None:
        with pytest.raises(BrokenOff, match="BaseExceptionGroup"), Contained("the test"):
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())

    on_loop(run())


def test_ctrl_c_ends_a_program_at_a_terminal() -> None:
    async def run() -> None:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                meet(KeyboardInterrupt())
        finally:
            signal.signal(signal.SIGINT, before)

    on_loop(run())


def test_a_coroutine_is_closed_without_a_loop() -> None:
    async def wait() -> None:
        with Contained("the test"):
            await asyncio.sleep(0)

    work = wait()
    work.send(None)
    work.close()
    with pytest.raises(BrokenOff):
        meet(SystemExit())


@pytest.mark.parametrize("kind", [*UNUSUAL, StopIteration])
def test_a_future_gets_no_exception_from_a_thread_that_it_cannot_pass_on(kind: type[BaseException]) -> None:
    async def run() -> None:
        with pytest.raises(BrokenOff, match=r"^the test ended with .*why") as raised:
            await asyncio.to_thread(contained, "the test", partial(broken, kind("why")))
        assert isinstance(raised.value.__cause__, kind)

    on_loop(run())


def test_results_and_errors_come_from_a_thread_as_they_are() -> None:
    assert contained("the test", lambda: 7) == 7
    with pytest.raises(ValueError, match="why"):
        contained("the test", partial(broken, ValueError("why")))
