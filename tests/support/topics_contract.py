"""The contract of every store of topics: a class of tests that a backend's tests inherit, with their own `views`."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import Any

import pytest

from trickleweb.topics import BadTopic, TopicEntry, TopicGap, TopicLimits, TopicRange, Topics, TopicsFull

SMALL = TopicLimits(
    name_bytes=20, entry_bytes=50, entries=5, topic_bytes=100, life=1000, key_life=2000, topics=3, total_bytes=1 << 20
)


class Time:
    """The clock of a store, set by hand."""

    def __init__(self) -> None:
        self.now = 10_000

    def __call__(self) -> int:
        return self.now


Views = Callable[[Time, TopicLimits, int], AbstractAsyncContextManager[list[Topics]]]


def with_views(count: int, limits: TopicLimits) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Decorate an async test of some views of one store and of its clock."""

    def decorate(test: Callable[..., Any]) -> Callable[..., None]:
        def run(self: Any, views: Views, **given: Any) -> None:
            async def opened() -> None:
                clock = Time()
                async with views(clock, limits, count) as made:
                    await test(self, made, clock, **given)

            asyncio.run(opened())

        parameters = list(inspect.signature(test).parameters.values())
        views = inspect.Parameter("views", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([parameters[0], views, *parameters[3:]])  # type: ignore[attr-defined]
        run.__name__ = test.__name__
        return run

    return decorate


class TopicsContract:
    """A backend's class gives `views`: some views of one store, as its replicas have them."""

    @pytest.fixture
    def views(self) -> Views:
        raise NotImplementedError

    @with_views(2, TopicLimits())
    async def test_numbers_count_from_one_for_each_topic(self, two: list[Topics], clock: Time) -> None:
        one, other = two
        assert [await one.publish("a", b"1"), await other.publish("a", b"2"), await one.publish("b", b"3")] == [1, 2, 1]
        page = await other.read("a", 0, 10)
        assert page.entries == (TopicEntry(1, b"1"), TopicEntry(2, b"2"))
        assert page.kept[1:] == (1, 2)
        assert (await one.read("a", 1, 10)).entries == (TopicEntry(2, b"2"),)
        assert (await one.read("a", 0, 1)).entries == (TopicEntry(1, b"1"),)
        assert (await one.read("a", 2, 10)).entries == ()

    @with_views(2, TopicLimits())
    async def test_a_topic_without_entries_reads_as_empty_and_takes_no_place(
        self, two: list[Topics], clock: Time
    ) -> None:
        page = await two[0].read("none", 0, 10)
        assert page.entries == ()
        assert page.kept == TopicRange("", 1, 0) == await two[1].kept("none")

    @with_views(2, TopicLimits())
    async def test_the_same_key_publishes_once(self, two: list[Topics], clock: Time) -> None:
        one, other = two
        assert [await one.publish("a", b"1", "k"), await other.publish("a", b"other", "k")] == [1, 1]
        assert await other.publish("a", b"2", "l") == 2
        assert await other.publish("b", b"3", "k") == 1
        assert [each.data for each in (await other.read("a", 0, 9)).entries] == [b"1", b"2"]

    @with_views(2, TopicLimits())
    async def test_concurrent_publishers_leave_no_holes(self, two: list[Topics], clock: Time) -> None:
        numbers = await asyncio.gather(*(two[at % 2].publish("a", b"%d" % at) for at in range(40)))
        assert sorted(numbers) == list(range(1, 41))
        found = (await two[0].read("a", 0, 100)).entries
        assert [each.number for each in found] == list(range(1, 41))
        assert {each.data for each in found} == {b"%d" % at for at in range(40)}

    @with_views(2, TopicLimits())
    async def test_an_incarnation_is_the_topics_own(self, two: list[Topics], clock: Time) -> None:
        await two[0].publish("a", b"1")
        await two[0].publish("b", b"1")
        kept = await two[1].kept("a")
        assert len(kept.incarnation) == 8
        assert kept.incarnation != (await two[1].kept("b")).incarnation
        assert (await two[1].read("a", 0, 1, kept.incarnation)).kept == kept
        with pytest.raises(TopicGap) as gap:
            await two[1].read("a", 0, 1, "another")
        assert (gap.value.after, gap.value.kept) == (0, kept)

    @with_views(2, TopicLimits())
    async def test_a_number_never_given_is_a_gap(self, two: list[Topics], clock: Time) -> None:
        await two[0].publish("a", b"1")
        with pytest.raises(TopicGap):
            await two[0].read("a", 2, 1)
        with pytest.raises(TopicGap):
            await two[0].read("never", 1, 1)

    @pytest.mark.parametrize(("count", "size", "first"), [(9, 10, 5), (4, 40, 3)], ids=["count", "bytes"])
    @with_views(1, SMALL)
    async def test_the_latest_are_kept(
        self, small: list[Topics], clock: Time, count: int, size: int, first: int
    ) -> None:
        for _ in range(count):
            await small[0].publish("a", bytes(size))
        assert (await small[0].kept("a"))[1:] == (first, count)
        assert [each.number for each in (await small[0].read("a", first - 1, 9)).entries] == list(
            range(first, count + 1)
        )
        with pytest.raises(TopicGap) as gap:
            await small[0].read("a", first - 2, 9)
        assert gap.value.kept[1:] == (first, count)

    @with_views(1, SMALL)
    async def test_old_entries_are_dropped_and_numbers_go_on(self, small: list[Topics], clock: Time) -> None:
        await small[0].publish("a", b"1")
        clock.now += 600
        await small[0].publish("a", b"2")
        clock.now += 600
        assert await small[0].publish("a", b"3") == 3
        assert (await small[0].kept("a"))[1:] == (2, 3)

    @with_views(1, SMALL)
    async def test_a_key_outlives_its_entry_but_not_for_ever(self, small: list[Topics], clock: Time) -> None:
        await small[0].publish("a", b"1", "k")
        clock.now += 1500
        await small[0].publish("a", b"2")
        assert (await small[0].kept("a"))[1:] == (2, 2)
        assert await small[0].publish("a", b"1", "k") == 1
        clock.now += 1000
        await small[0].publish("a", b"3")
        assert await small[0].publish("a", b"1", "k") == 4

    @with_views(1, SMALL)
    async def test_topics_are_bounded_and_forgotten_ones_begin_again(self, small: list[Topics], clock: Time) -> None:
        for name in "abc":
            await small[0].publish(name, b"1")
        before = await small[0].kept("a")
        with pytest.raises(TopicsFull):
            await small[0].publish("d", b"1")
        clock.now += 1500
        with pytest.raises(TopicsFull):
            await small[0].publish("d", b"1")  # keys may still be known
        clock.now += 1500
        assert await small[0].publish("d", b"1") == 1
        assert (await small[0].kept("a")) == TopicRange()
        assert await small[0].publish("a", b"again") == 1
        with pytest.raises(TopicGap):
            await small[0].read("a", 1, 1, before.incarnation)

    @with_views(2, TopicLimits())
    async def test_a_page_is_bounded_in_bytes(self, two: list[Topics], clock: Time) -> None:
        for _ in range(6):
            await two[0].publish("a", bytes(256 << 10))
        pages = [await two[1].read("a", after, 10) for after in (0, 4)]
        assert [[each.number for each in page.entries] for page in pages] == [[1, 2, 3, 4], [5, 6]]

    @with_views(2, TopicLimits())
    async def test_waiting_ends_with_news_of_either_view(self, two: list[Topics], clock: Time) -> None:
        one, other = two
        for publisher in (one, other):
            last = (await one.kept("a")).last
            waits = asyncio.create_task(one.wait({"a": last, "b": 0}))
            await asyncio.sleep(0)
            await publisher.publish("c", b"no news")
            await publisher.publish("a", b"news")
            assert await waits == {"a"}

    @with_views(2, TopicLimits())
    async def test_waiting_ends_at_once_where_there_are_news(self, two: list[Topics], clock: Time) -> None:
        await two[0].publish("a", b"1")
        assert await two[1].wait({"a": 0, "b": 0}) == {"a"}
        assert await two[1].wait({"a": 7}) == {"a"}  # as after a replacement: to read it is a gap

    @with_views(2, TopicLimits())
    async def test_many_wait_and_a_cancelled_one_leaves_nothing(self, two: list[Topics], clock: Time) -> None:
        tasks = [asyncio.create_task(view.wait({"a": 0})) for view in two for _ in range(20)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await two[0].publish("a", b"1")
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(ends[0], asyncio.CancelledError)
        assert ends[1:] == [{"a"}] * 39

    @with_views(2, TopicLimits())
    async def test_a_reader_that_waits_and_reads_misses_nothing(self, two: list[Topics], clock: Time) -> None:
        found: list[int] = []

        async def reader() -> None:
            while len(found) < 50:
                after = found[-1] if found else 0
                await two[1].wait({"a": after})
                found.extend(each.number for each in (await two[1].read("a", after, 7)).entries)

        reading = asyncio.create_task(reader())
        for at in range(50):
            await two[at % 2].publish("a", b"x")
        await reading
        assert all(second == first + 1 for first, second in pairwise([0, *found]))

    @pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "\x7f", "x" * 21, "ä" * 11, "\udc80"])
    @with_views(1, SMALL)
    async def test_hostile_names(self, small: list[Topics], clock: Time, name: str) -> None:
        with pytest.raises(BadTopic):
            await small[0].publish(name, b"")
        with pytest.raises(BadTopic):
            await small[0].read(name, 0, 1)
        with pytest.raises(BadTopic):
            await small[0].kept(name)
        with pytest.raises(BadTopic):
            await small[0].wait({name: 0})
        if name:
            with pytest.raises(BadTopic):
                await small[0].publish("a", b"", name)

    @with_views(2, TopicLimits())
    async def test_names_are_only_names(self, two: list[Topics], clock: Time) -> None:
        for name in ("../../etc/passwd", "'; DROP TABLE topics; --", "ä€😀", "A", "a"):
            assert await two[0].publish(name, name.encode()) == 1
            assert (await two[1].read(name, 0, 1)).entries[0].data == name.encode()

    @pytest.mark.parametrize(("after", "most"), [(-1, 1), (1 << 63, 1), (0, 0)])
    @with_views(1, SMALL)
    async def test_hostile_positions(self, small: list[Topics], clock: Time, after: int, most: int) -> None:
        with pytest.raises(BadTopic):
            await small[0].read("a", after, most)

    @with_views(1, SMALL)
    async def test_an_entry_that_is_too_large_is_refused(self, small: list[Topics], clock: Time) -> None:
        with pytest.raises(BadTopic):
            await small[0].publish("a", bytes(51))
        assert (await small[0].kept("a")).last == 0
