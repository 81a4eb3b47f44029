"""How `trickleweb demo` shows itself: a picture on a terminal, plain lines elsewhere, a recording, and its plot."""

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from docs.plot_demo import read, stretches, svg
from trickleweb.cli.demo.story import Kill, Sample, Story, recording, write_recording
from trickleweb.cli.demo.view import WAITING, View, line, picture, verdict

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def story() -> Story:
    story = Story(1_000_000_000, 3)
    story.add(Sample(0, 0, (0, 0, 0), (1, 2, 3), None))
    story.add(Sample(1, 100_000_000, (50, 0, 0), (1, 2, 3), 0))
    story.kills.append(Kill(1, 0))
    story.add(Sample(2, 300_000_000, (50, 120_000, 0), (None, 2, 3), 1))
    return story


def test_the_picture(story: Story) -> None:
    assert [text for _, text in picture(story)] == [
        " replica-0 [############            ]     50 packets,  1 kills  dead",
        " replica-1 [########################] 120000 packets,  0 kills  at work",
        " replica-2 [                        ]      0 packets,  0 kills",
        "",
        "       30% [=======                 ] 300 of 1000 MB, 200.0 MB/s, 1 kills",
    ]


def test_the_picture_is_drawn_over_the_last_one(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    view = View(out, story)
    view.sampled()
    first = out.getvalue()
    view.sampled()
    assert out.getvalue() == first + "\x1b[5A" + first
    assert first.startswith("\x1b[31m replica-0 [")
    assert all(
        len(each.replace("\x1b[31m", "").replace("\x1b[1m", "").split("\x1b")[0]) < 40 for each in first.split("\n")
    )


def test_a_kill_that_waits_is_told(story: Story) -> None:
    story.is_held_up = True
    assert picture(story)[-1][1].strip() == WAITING
    terminal, out = Terminal(), io.StringIO()
    view = View(terminal, story)
    view.sampled()
    story.is_held_up = False
    view.sampled()
    assert terminal.getvalue().endswith("\x1b[K\n\x1b[K\n")  # the line is wiped
    View(out, story).held_up()
    assert out.getvalue() == f"  2.0 s  {WAITING}\n"


def test_no_color_where_none_is_wanted(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    View(out, story).sampled()
    assert "\x1b[31m" not in out.getvalue()


def test_plain_lines_once_a_second_and_for_each_kill(story: Story) -> None:
    out, told = io.StringIO(), Story(1_000_000_000, 3)
    view = View(out, told)
    for each in (*story.samples, Sample(2.5, 310_000_000, (50, 60, 0), (1, 2, 3), 1)):
        told.add(each)
        view.sampled()
    view.killed(story.kills[0])
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1] == "  1.0 s  kill -9 replica-0"
    assert line(story) == ("  2.0 s  300 of 1000 MB   200.0 MB/s  at work: replica-1  packets: 50 120000 0  kills: 1")


def test_the_verdict_says_whether_the_download_is_equal(story: Story) -> None:
    assert "equal to the source" in verdict(story, "curl", 0, "ab", "ab")[1]
    told = "\n".join(verdict(story, "curl", 18, "ab", "cd"))
    assert "cd  NOT EQUAL to the source" in told
    assert "curl      exit code 18, after 2.0 s" in told
    assert "kills     1, " in told


RESULT: dict[str, object] = {"client": "curl", "exit": 0, "equal": True}


def test_a_recording_tells_the_story_in_order_of_time(story: Story, tmp_path: Path) -> None:
    write_recording(tmp_path / "record", story, RESULT)
    header, *rest, last = [json.loads(each) for each in (tmp_path / "record").read_text().splitlines()]
    assert (header["format"], header["size_bytes"], header["replicas"]) == ("trickleweb demo 1", 1_000_000_000, 3)
    assert [("kill" in each, each["seconds"]) for each in rest] == [(False, 0), (True, 1), (False, 1), (False, 2)]
    assert rest[3] == {
        "seconds": 2,
        "bytes": 300_000_000,
        "packets": [50, 120_000, 0],
        "alive": [False, True, True],
        "at_work": 1,
    }
    assert last == {"result": RESULT | {"longest_pause_ms": 0}}


def test_a_recording_is_drawn(story: Story) -> None:
    drawn = svg(read("\n".join(recording(story, RESULT))))
    root = ET.fromstring(drawn)
    words = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == "1000 MB by one curl, the replica at work killed 1 times: exit code 0, the same sha256"
    assert {"replica 0", "replica 1", "replica 2", "500 MB"} <= set(words)


def test_stretches_are_those_of_equal_states() -> None:
    samples = [{"seconds": second, "state": state} for second, state in enumerate("aaabba")]
    assert list(stretches(samples, lambda each: each["state"])) == [(0, 2, "a"), (2, 4, "b"), (4, 5, "a")]


@pytest.mark.parametrize("text", ['{"format": "x"}\n{"result": {}}', '{"format": "trickleweb demo 1"}\n{"seconds": 1}'])
def test_other_files_are_no_recordings(text: str) -> None:
    with pytest.raises(ValueError, match="no recording"):
        read(text)


def test_the_picture_of_the_readme_is_that_of_its_recording() -> None:
    recorded = read((IMAGES / "demo.jsonl").read_text())
    assert svg(recorded) == (IMAGES / "demo.svg").read_text()
    assert recorded.result["equal"]
    assert recorded.result["exit"] == 0
    assert len(recorded.kills) >= 10
