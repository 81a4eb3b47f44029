"""A replica of a program outlives what the program raises to end the process."""

import asyncio

import pytest

from trickleweb.cli.app_replica import run_on

ENDING = [SystemExit(3), KeyboardInterrupt("why")]


@pytest.mark.parametrize("error", ENDING, ids=repr)
def test_a_task_that_would_end_the_process_is_reported(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    story: list[str] = []

    async def fail(name: str) -> None:
        story.append(name)
        raise error

    async def serve() -> None:
        tasks = [asyncio.create_task(fail("first")), asyncio.create_task(fail("second"))]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        story.append(f"served after {found[0]!r}")

    run_on(serve())
    assert story == ["first", "second", f"served after {error!r}"]
    assert [record.getMessage() for record in caplog.records] == [f"a task of the program ended with {error!r}"] * 2


@pytest.mark.parametrize("error", [*ENDING, ValueError("why")], ids=repr)
def test_errors_of_the_replica_itself_end_it(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async def serve() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)):
        run_on(serve())
    assert not caplog.records
