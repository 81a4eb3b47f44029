"""What `trickleweb demo` makes of what it sees: amounts, rates, pauses, and who served what."""

import json
import os
from pathlib import Path

import pytest

from trickleweb.cli.demo.story import Kill, Sample, Story
from trickleweb.cli.demo.watching import Watcher, cpu_ns
from trickleweb.cli.rundir import RunDir


def sample(seconds: float, received_bytes: int, at_work: int | None = None) -> Sample:
    return Sample(seconds, received_bytes, (0, 0), (1, 2), at_work)


def test_what_arrives_is_counted_for_the_replica_at_work() -> None:
    story = Story(1000, 2)
    for each in (sample(0, 0), sample(1, 100, 0), sample(2, 350, 1), sample(3, 400, None), sample(4, 1000, 0)):
        story.add(each)
    assert story.served_bytes == [700, 250]


def test_the_rate_is_that_of_the_last_second() -> None:
    story = Story(1000, 2)
    assert story.rate_bytes == 0
    for each in (sample(0, 0), sample(1, 900), sample(1.5, 910), sample(2, 920)):
        story.add(each)
    assert story.rate_bytes == pytest.approx(20)


def test_the_longest_pause_begins_with_the_first_byte_and_ends_with_the_last() -> None:
    story = Story(1000, 2)
    for seconds, received_bytes in ((5, 0), (6, 10), (6.5, 10), (7, 20), (7.25, 30), (99, 30)):
        story.grew(seconds, received_bytes)
    assert story.longest_pause == pytest.approx(1)


def test_kills_are_counted_for_each_replica() -> None:
    story = Story(1000, 2, kills=[Kill(1, 0), Kill(2, 1), Kill(3, 0)])
    assert [story.kills_of(0), story.kills_of(1)] == [2, 1]


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def tell(run_dir: RunDir, index: int, pid: int, packets: int) -> None:
    run_dir.note(f"replica-{index}", {"pid": pid, "packets_out": packets})
    run_dir.note_pid(f"replica-{index}", pid)


NOBODY = 1 << 30  # above every pid that Linux gives


def test_packets_of_all_lives_are_added_up(run_dir: RunDir) -> None:
    watcher = Watcher(run_dir, 2)
    assert watcher.look(0, 0).packets == (0, 0)
    tell(run_dir, 0, NOBODY, 10)
    tell(run_dir, 0, NOBODY, 15)
    assert watcher.look(1, 0).packets == (15, 0)
    tell(run_dir, 0, NOBODY + 1, 3)
    assert watcher.look(2, 0).packets == (18, 0)


def test_who_sends_most_is_at_work_where_the_system_does_not_tell_more(run_dir: RunDir) -> None:
    watcher = Watcher(run_dir, 2)
    tell(run_dir, 0, NOBODY, 10)
    tell(run_dir, 1, NOBODY + 1, 500)
    assert watcher.look(0, 0).at_work is None  # what came before is no news
    tell(run_dir, 0, NOBODY, 12)
    assert watcher.look(1, 0).at_work == 0
    assert watcher.look(2, 0).at_work == 0  # nobody has done more since
    run_dir.drop_pid("replica-0")
    found = watcher.look(3, 0)
    assert (found.at_work, found.pids) == (None, (None, NOBODY + 1))


@pytest.mark.skipif(cpu_ns(os.getpid()) is None, reason="the system does not tell how long a process has run")
def test_who_uses_the_processor_is_at_work(run_dir: RunDir) -> None:
    watcher = Watcher(run_dir, 2)
    tell(run_dir, 0, NOBODY, 0)
    tell(run_dir, 1, os.getpid(), 0)
    watcher.look(0, 0)
    before = cpu_ns(os.getpid())
    while cpu_ns(os.getpid()) == before:
        pass
    assert watcher.look(1, 0).at_work == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": "x", "packets_out": 3}', '{"pid": 3}'])
def test_files_in_no_good_form_tell_nothing(run_dir: RunDir, text: str) -> None:
    run_dir.status_file("replica-0").write_text(text)
    run_dir.pid_file("replica-0").write_text(text)
    found = Watcher(run_dir, 1).look(0, 0)
    assert (found.packets, found.pids, found.at_work) == ((0,), (None,), None)


def test_figures_are_those_that_a_replica_writes(run_dir: RunDir) -> None:
    tell(run_dir, 0, 7, 1)
    assert json.loads(run_dir.status_file("replica-0").read_text()) == {"pid": 7, "packets_out": 1}
