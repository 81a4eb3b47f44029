"""Stepped bodies: they go on from any cursor, travel as bytes, and refuse the states of other releases."""

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web import collect
from tests.unit.test_plain import PLAIN
from trickleweb.bodies import Checkpoint, StateRefused, Step, Stepped, Steps, StepsTable, stepping, steps
from trickleweb.bodies.steps import BadSteps
from trickleweb.plain import NotPlain, Plain, StateTooLarge


@steps("rows", version=2)
async def rows(cursor: int, *, stop: int = 5) -> AsyncIterator[Step]:
    for row in range(cursor, stop):
        yield f"row {row}\n", row + 1


@steps("plain rows")
def plain_rows(cursor: int, *, stop: int = 5) -> Iterator[Step]:
    for row in range(cursor, stop):
        yield f"row {row}\n".encode(), row + 1


@stepping("countdown")
def countdown(cursor: int) -> Step | None:
    return (f"{cursor}\n", cursor - 1) if cursor else None


@stepping("async countdown", version=3)
async def async_countdown(cursor: int) -> Step | None:
    return (f"{cursor}\n", cursor - 1) if cursor else None


TABLE = StepsTable([rows, plain_rows, countdown, async_countdown])
BODIES = [rows.at(0, stop=4), plain_rows.at(2), countdown.at(3), async_countdown.at(3)]


def every_step(body: Stepped) -> list[Step]:
    made = body.run()
    return collect(made) if isinstance(made, AsyncIterator) else list(made)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.steps.name)
def test_a_body_goes_on_from_every_cursor_with_the_same_bytes(body: Stepped) -> None:
    whole = every_step(body)
    assert len(whole) == 3 or body.steps is rows
    for at, (_, cursor) in enumerate(whole):
        resumed = TABLE.unpack(Checkpoint(body.steps.at(cursor, **body.args)).pack()).body
        assert every_step(resumed) == whole[at + 1 :]


@pytest.mark.slow
@given(PLAIN, st.dictionaries(st.sampled_from(["a", "b"]), PLAIN))
def test_a_checkpoint_survives_the_journey(cursor: Plain, args: dict[str, Plain]) -> None:
    begun = Checkpoint(rows.at(cursor, **args))
    assert TABLE.unpack(begun.pack(1 << 20)) == begun


def test_a_checkpoint_is_small() -> None:
    assert rows.at(10_000_000).cursor == 10_000_000
    assert Checkpoint(rows.at(10_000_000)).pack() == b'["rows",2,10000000,{}]'


def test_a_state_too_large_names_the_way_out() -> None:
    with pytest.raises(StateTooLarge, match=r"'rows' take 5\d\d bytes, over 480: keep them in a shared store"):
        Checkpoint(rows.at("x" * 500)).pack()


@pytest.mark.parametrize("cursor", [(1, 2), b"x", {1: 2}, float("nan"), object()])
def test_a_cursor_that_could_not_travel_is_refused_where_it_is_made(cursor: object) -> None:
    with pytest.raises(NotPlain):
        rows.at(cursor)
    with pytest.raises(NotPlain):
        rows.at(0, stop=cursor)


@pytest.mark.parametrize(
    "state",
    [
        *(b"", b"\xff", b"{}", b"[]", b"1", b'["rows"]', b'["rows",2,0]', b'["rows",2,0,[]]', b'["rows",2,0,5]'),
        *(b'["gone",2,0,{}]', b'["rows",3,0,{}]', b'["rows",1,0,{}]', b'["rows","2",0,{}]', b'["rows",2,0,{},1]'),
        *(b'["rows",2,0,{},"x","y"]', b'["rows",2,0,{},1,"a","b"]', b'[["rows"],2,0,{}]', b'["rows",2,0,{"a":NaN}]'),
    ],
)
def test_a_state_of_another_release_is_refused(state: bytes) -> None:
    with pytest.raises(StateRefused):
        TABLE.unpack(state)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_state_or_refused(state: bytes) -> None:
    with pytest.raises(StateRefused):
        TABLE.unpack(state)


def from_page_to_key(version: int, cursor: Plain, args: dict[str, Plain]) -> tuple[Plain, dict[str, Plain]]:
    if version == 1:
        raise StateRefused("version 1 had no order")
    return cursor * 100, {"stop": 10_000} | args


def test_an_old_state_meets_new_code() -> None:
    new = StepsTable([Steps("rows", rows.run, version=4, migrate=from_page_to_key)])
    assert new.unpack(Checkpoint(rows.at(7)).pack()).body.cursor == 700
    assert new.unpack(Checkpoint(rows.at(7, stop=5)).pack()).body.args == {"stop": 5}
    with pytest.raises(StateRefused, match="had no order"):
        new.unpack(b'["rows",1,0,{}]')
    for version in ("5", '"2"', "null"):
        with pytest.raises(StateRefused, match="is version 4 here, and began as"):
            new.unpack(f'["rows",{version},0,{{}}]'.encode())


def careless(_version: int, _cursor: Plain, args: dict[str, Plain]) -> tuple[Plain, dict[str, Plain]]:
    return (1, 2), args


def test_a_migration_is_held_to_plain_values() -> None:
    with pytest.raises(StateRefused, match="use lists for tuples"):
        StepsTable([Steps("rows", rows.run, 3, careless)]).unpack(b'["rows",2,0,{}]')


@pytest.mark.parametrize(("name", "version"), [("", 1), ("x" * 65, 1), ("a", 0)])
def test_steps_have_a_name_and_a_version(name: str, version: int) -> None:
    with pytest.raises(BadSteps, match="a name of at most 64 characters"):
        Steps(name, rows.run, version)


def test_two_generators_of_one_name_are_refused() -> None:
    with pytest.raises(BadSteps, match="two generators are called 'rows'"):
        StepsTable([rows, Steps("rows", plain_rows.run)])
    assert StepsTable([rows, rows]).steps == {"rows": rows}
