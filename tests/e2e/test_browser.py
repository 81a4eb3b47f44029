"""A browser that has never heard of Trickles renders the bundled site, while its replicas are killed."""

import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Browser, Message, browser
from tests.support.served import Served, served
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

SITE = Path(__file__).parents[2] / "trickleweb" / "site"
JUMP = """new Promise((resolve, reject) => {
  const video = document.querySelector("video");
  video.onerror = () => reject(video.error);
  video.onseeked = () => resolve([video.currentTime, video.readyState]);
  video.currentTime = %s;
})"""
PLAYED = """new Promise((resolve, reject) => {
  const video = document.querySelector("video"), began = video.currentTime;
  video.onerror = () => reject(video.error);
  video.ontimeupdate = () => video.currentTime > began && resolve(video.currentTime);
  video.play();
})"""
IMAGES = "[...document.images].map(image => image.complete && image.naturalWidth > 0)"
STYLE = "getComputedStyle(document.documentElement).getPropertyValue('--water').trim()"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Served]:
    with served(SITE, tmp_path / "run") as started:
        yield started


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Browser]:
    (tmp_path / "browser").mkdir()
    with browser(require("chromium"), tmp_path / "browser") as started:
        yield started


def killed(fleet: Served, index: int) -> None:
    """A replica dies, and is back."""
    os.kill(fleet.pid(f"replica-{index}"), signal.SIGKILL)
    assert fleet.program.errors.next() == f"trickleweb serve: replica-{index} ended"
    assert fleet.program.errors.next() == f"trickleweb serve: replica-{index} is back"


def answers(page: Browser) -> dict[str, int]:
    """The status of all that the page asked for, by path."""
    responses = [told["response"] for told in page.seen("Network.responseReceived")]
    return {urlsplit(each["url"]).path: each["status"] for each in responses if each["url"].startswith("http")}


def is_range(message: Message, start: int) -> bool:
    """Whether the event tells of a request for the video's bytes from `start` or later on."""
    if message["method"] != "Network.requestWillBeSent":
        return False
    asked = message["params"]["request"]["headers"].get("Range", "")
    return asked.startswith("bytes=") and int(asked[6:].split("-")[0]) >= start


def test_pages_come_with_their_style_and_images(page: Browser, fleet: Served) -> None:
    page.visit(f"{fleet.url}/")
    assert page.evaluate("document.title") == "Trickles"
    assert page.evaluate(STYLE) == "#1b7fa6"
    assert page.evaluate(IMAGES) == [True]
    for index in range(3):
        killed(fleet, index)
    page.visit(f"{fleet.url}/how/")
    assert page.evaluate(IMAGES) == [True, True]
    assert set(answers(page).values()) <= {200, 206, 304}
    page.visit(f"{fleet.url}/nowhere")
    assert answers(page)["/nowhere"] == 404
    assert page.evaluate("document.styleSheets.length") == 1
    picture = base64.b64decode(page.call("Page.captureScreenshot")["data"])
    assert picture.startswith(b"\x89PNG")


def test_a_jump_in_the_video_asks_for_a_range(page: Browser, fleet: Served) -> None:
    size = (SITE / "media" / "pattern.mp4").stat().st_size
    slowed(page, 5_000)  # bytes a second: the place to jump to is not there yet
    page.visit(f"{fleet.url}/")
    for index in range(3):
        killed(fleet, index)
    page.evaluate("globalThis.jumped = " + JUMP % 22 + ", 0")
    jump = page.wait(lambda event: is_range(event, size // 2))["params"]["requestId"]
    slowed(page, -1)
    place, ready = page.evaluate("globalThis.jumped")
    assert (place, ready >= 2) == (22, True)  # 2: the picture at that place is there
    (answer,) = (told for told in page.seen("Network.responseReceived") if told["requestId"] == jump)
    assert answer["response"]["status"] == 206
    assert answer["response"]["headers"]["Content-Range"].endswith(f"-{size - 1}/{size}")
    assert page.evaluate(PLAYED) > 22


def slowed(page: Browser, rate_bytes: int) -> None:
    """So many bytes reach the page in a second; -1 for all that come."""
    page.call(
        "Network.emulateNetworkConditions",
        offline=False,
        latency=0,
        downloadThroughput=rate_bytes,
        uploadThroughput=-1,
    )
