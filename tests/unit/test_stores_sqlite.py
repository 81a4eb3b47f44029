"""The file of a ledger: removed, replaced, not to be opened now, open to others."""

import asyncio
import os
import shutil
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support.loop import on_loop
from trickles.stores import NO_STORE, STORE_ID_BYTES
from trickleweb.ledger import Claim, Done, LedgerUnavailable, LedgerUnwritable, Lost, New, Pending, ledger_key
from trickleweb.stores import SqliteLedger, database, ledger_file
from trickleweb.stores.ledger_file import LedgerFile

KEY = ledger_key("test", b"1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def test_a_file_that_is_removed_is_one_for_all_again(path: Path) -> None:
    one, two = LedgerFile(path, durable=False), LedgerFile(path, durable=False)
    one.claim(KEY, now=1)
    for each in path.parent.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    before = one.store_id
    with pytest.raises(LedgerUnavailable, match="was removed or replaced"):
        one.claim(KEY, now=2)
    one.look()
    assert one.claim(KEY, now=2) == New()
    with pytest.raises(LedgerUnavailable, match="was removed or replaced"):
        two.claim(KEY, now=3)
    two.look()
    assert two.claim(KEY, now=3) == Pending()
    assert one.store_id == two.store_id != before
    assert two.complete(KEY, b"plan", now=4) == one.complete(KEY, b"other", now=5) == b"plan"
    one.close()
    two.close()


def test_who_is_patient_opens_the_file_once_that_can_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = database.opened

    def full(*_: object, **__: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ledger_file, "opened", full)
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        LedgerFile(path)
    ledger = LedgerFile(path, patient=True)
    with pytest.raises(LedgerUnwritable, match="cannot be opened yet"):
        ledger.claim(KEY, now=1)
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        ledger.look()
    assert ledger.store_id == NO_STORE
    monkeypatch.setattr(ledger_file, "opened", real)
    ledger.look()
    assert len(ledger.store_id) == STORE_ID_BYTES
    assert ledger.claim(KEY, now=1) == New()
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.claim(KEY, now=1)


@pytest.mark.parametrize("kind", ["open to others", "garbage", "another release"])
def test_who_is_patient_waits_for_a_usable_file(path: Path, kind: str) -> None:
    if kind == "another release":
        with closing(sqlite3.connect(path)) as made:
            made.execute("PRAGMA user_version = 9")
    else:
        path.write_bytes(b"garbage" * 1000)
    path.chmod(0o644 if kind == "open to others" else 0o600)
    with pytest.raises(LedgerUnavailable):
        LedgerFile(path)
    ledger = LedgerFile(path, patient=True)
    with pytest.raises(LedgerUnwritable):
        ledger.claim(KEY, now=1)
    with pytest.raises(LedgerUnavailable):
        ledger.look()
    path.unlink()
    ledger.look()
    assert ledger.claim(KEY, now=1) == New()
    ledger.close()


def test_a_full_file_takes_no_claim_and_says_so(path: Path) -> None:
    ledger = LedgerFile(path, max_bytes=1 << 16)
    for call in (lambda key: ledger.complete(key, bytes(5000), now=1), lambda key: ledger.claim(key, now=1)):
        with pytest.raises(LedgerUnwritable, match="full"):
            deque(map(call, (os.urandom(32) for _ in range(1000))))
    ledger.close()


def test_the_ledger_does_on_threads_what_its_file_does(tmp_path: Path) -> None:
    async def test() -> None:
        ledger, other = SqliteLedger(tmp_path / "ledger", keep=1), SqliteLedger(tmp_path / "ledger")
        keys = [ledger_key("n", bytes([at])) for at in range(40)]
        claims = await asyncio.gather(*(each.claim(key, now=1) for key in keys for each in (ledger, other)))
        assert (claims.count(New()), claims.count(Pending())) == (40, 40)
        assert await other.complete(keys[0], b"plan", now=2) == b"plan"
        assert await ledger.find(keys[0]) == Done(b"plan")
        await other.close()
        assert {type(await ledger.claim(key, now=3)) for key in keys[1:]} <= {Pending, Lost}
        lost = [key for key in keys[1:] if await ledger.claim(key, now=3) == Lost()]
        assert [await ledger.adopt(key, now=3) for key in lost] == [New()] * len(lost)
        await ledger.release(keys[-1])
        assert await ledger.expire(before=10) >= 39
        ledger.look()
        with closing(LedgerFile(tmp_path / "ledger")) as file:
            assert ledger.store_id == file.store_id
        await ledger.close()
        with pytest.raises(LedgerUnavailable, match="closed"):
            await ledger.claim(KEY, now=1)

    on_loop(test())


def test_the_claim_of_a_caller_that_leaves_is_released(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        ledger, other = SqliteLedger(path), LedgerFile(path)
        claims, begun, left = ledger._file.claims, threading.Event(), threading.Event()
        released = asyncio.Event()

        def slow(asked: Sequence[tuple[bytes, int]]) -> list[Claim]:
            found = claims(asked)
            begun.set()
            assert left.wait(10)
            return found

        async def let_go(key: bytes) -> None:
            await SqliteLedger._let_go(ledger, key)
            released.set()

        monkeypatch.setattr(ledger._file, "claims", slow)
        monkeypatch.setattr(ledger, "_let_go", let_go)
        leaving = asyncio.create_task(ledger.claim(KEY, now=1))
        assert await asyncio.to_thread(begun.wait, 10)
        assert other.claim(KEY, now=1) == Pending()
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
        left.set()
        await released.wait()
        assert other.claim(KEY, now=1) == New()
        await ledger.close()
        other.close()

    on_loop(test())
