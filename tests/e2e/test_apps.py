"""The example applications as their README starts them, used as people do while their replicas are killed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from apps.catalogue import lines as catalogue_lines
from apps.export import HEAD, order
from apps.llm import answer as said_by_model
from tests.support.killing import KILL_SECONDS, Killer, drained
from tests.support.processes import PATIENCE_SECONDS, ROOT
from tests.support.served import Served, running, served
from tests.support.system import require
from tests.support.web import run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
README = (ROOT / "apps" / "README.md").read_text()
NOTES = 12
JSON = "Content-Type: application/json"


def command(name: str) -> list[str]:
    """The words with which the README starts an application."""
    found = re.search(rf"^\| `{name}` \|.*\| `trickleweb ([^`]+)` \|$", README, re.MULTILINE)
    assert found is not None
    return found[1].split()


@contextmanager
def under_fire(fleet: Served, every: float = KILL_SECONDS) -> Iterator[Killer]:
    """Replicas are killed, one at a time; at least one before the block is over."""
    with drained(fleet), Killer(fleet, gently=True, every=every) as killer:
        yield killer
        assert killer.struck.wait(PATIENCE_SECONDS)


def curl(*words: str) -> bytes:
    limit = ["--max-time", str(PATIENCE_SECONDS)]
    return subprocess.run([require("curl"), "-sS", *limit, *words], check=True, capture_output=True).stdout


def test_the_export_comes_whole(tmp_path: Path) -> None:
    program = command("export")
    assert program[0] == "run"
    rows = 600_000
    wanted = HEAD + "".join(map(order, range(rows))).encode()
    with running(program[1], tmp_path) as fleet, under_fire(fleet):
        assert curl(f"{fleet.url}/orders.csv?rows={rows}", "--limit-rate", "8M") == wanted
        assert curl(f"{fleet.url}/orders.csv?rows=20&from=17") == "".join(map(order, range(17, 20))).encode()
        assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{fleet.url}/orders.csv?rows=x") == b"400"


def test_the_catalogue_comes_whole(tmp_path: Path) -> None:
    async def everything() -> str:
        return "".join([line async for line in catalogue_lines()])

    # A stream that is begun again takes its pauses again: 2.4 seconds of ticks need a replica that lives as long.
    with running(command("catalogue")[1], tmp_path) as fleet, under_fire(fleet, every=1.5):
        assert curl(f"{fleet.url}/items.ndjson", "--limit-rate", "400k").decode() == run(everything())
        ticks = curl("-N", f"{fleet.url}/ticks?count=12&pause=0.2").decode()
        assert ticks == "".join(f"id: {at}\ndata: tick {at}\n\n" for at in range(12))
        assert json.loads(curl("--json", "[1, 2, 3]", f"{fleet.url}/items")) == {"cents": 6 * 37}
        assert json.loads(curl(f"{fleet.url}/items/7"))["name"] == "Item 00007"


def test_each_note_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTES_DATABASE", str(tmp_path / "notes.sqlite"))
    fleet_of = running(command("notes")[1], tmp_path / "run")
    with (
        fleet_of as fleet,
        under_fire(fleet),
        httpx.Client(base_url=fleet.url, follow_redirects=True, timeout=30) as browser,
    ):
        page = browser.post("/login", data={"name": "Ada", "csrf_token": token(browser.get("/"))})
        assert "Welcome, Ada." in page.text
        for number in range(NOTES):
            page = kept(browser, page, f"note <{number}>")
        assert page.text.count("<article>") == NOTES
        assert "note &lt;3&gt;" in page.text
        texts = browser.get("/notes.txt").text.split()
        assert texts == f"{' '.join(f'note <{number}>' for number in reversed(range(NOTES)))}".split()
        assert browser.post("/notes", data={"text": "forged"}).status_code == 403
        assert browser.get("/static/notes.css").headers["content-type"] == "text/css; charset=utf-8"


def token(page: httpx.Response) -> str:
    found = re.search('name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def kept(browser: httpx.Client, page: httpx.Response, text: str) -> httpx.Response:
    """Add a note. A replica that dies in the very moment leaves the outcome unknown, and says so: then look."""
    answer = browser.post("/notes", data={"text": text, "csrf_token": token(page)})
    if answer.status_code == 500 and "not known" in answer.text:
        answer = browser.get("/")
        if text.replace("<", "&lt;").replace(">", "&gt;") not in answer.text:
            return kept(browser, answer, text)
    assert answer.status_code == 200
    return answer


def test_the_site_comes_whole(tmp_path: Path) -> None:
    program = command("site")
    assert program[0] == "serve"
    folder = ROOT / program[1]
    with served(folder, tmp_path / "run") as fleet, under_fire(fleet) as killer:
        while killer.kills < 2:
            for path in ("index.html", "css/site.css"):
                assert curl(f"{fleet.url}/{path}") == (folder / path).read_bytes()


def data_of(stream: bytes) -> list[str]:
    """The data of the events of a whole stream."""
    return [line[6:] for line in stream.decode().splitlines() if line.startswith("data: ")]


def test_a_job_is_worked_on_and_watched_to_its_end(tmp_path: Path) -> None:
    steps = 40
    with running(command("jobs")[1], tmp_path) as fleet, under_fire(fleet), ThreadPoolExecutor(2) as pool:
        job = json.loads(curl("-d", f"steps={steps}", f"{fleet.url}/jobs"))
        watching = [pool.submit(curl, "-N", fleet.url + job["events"]) for _ in range(2)]
        for whole in (*(each.result() for each in watching), curl(fleet.url + job["events"])):
            *progress, last = data_of(whole)
            assert [json.loads(data)["step"] for data in progress] == list(range(steps + 1))
            assert last == "[DONE]"
        rest = curl(
            "-H", f"Last-Event-ID: {whole.decode().split('id: ')[steps - 1].split()[0]}", fleet.url + job["events"]
        )
        assert len(data_of(rest)) == 3
        for status, *asked in (b"400", "-d", "steps=x", "/jobs"), (b"404", "/jobs/unknown"), (b"404", "/jobs/%01"):
            *words, path = map(str, asked)
            assert curl("-o", "/dev/null", "-w", "%{http_code}", *words, fleet.url + path) == status


@contextmanager
def model() -> Iterator[str]:
    """The stub of a language model's server; its base URL."""
    words = [sys.executable, "-m", "apps.llm", "0"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def test_an_answer_survives_the_replica_that_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [{"role": "user", "content": "why?"}]
    asked = json.dumps({"stream": True, "max_tokens": 150, "messages": messages})
    with model() as url:
        monkeypatch.setenv("LLM_URL", url)
        with running(command("chat")[1], tmp_path) as fleet, under_fire(fleet):
            whole = curl("-Ni", "-H", JSON, "-d", asked, f"{fleet.url}/v1/chat/completions")
            assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{fleet.url}/v1/answers/unknown") == b"404"
            again = curl(fleet.url + re.findall(r"(?m)^x-answer: (\S+)", whole.decode().lower())[0])
    *chunks, last = data_of(again)
    assert data_of(whole) == [*chunks, last]
    assert last == "[DONE]"
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    assert "".join(each["delta"].get("content", "") for each in choices) == "".join(said_by_model(messages, 150))
    assert choices[-1]["finish_reason"] == "stop"


def test_every_application_is_in_the_table() -> None:
    names = {path.stem for path in (ROOT / "apps").iterdir() if path.name not in ("README.md", "__init__.py")}
    assert names - {"__pycache__"} == set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
