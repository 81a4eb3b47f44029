"""Ledgers: the SQLite one against the simple one in memory, and everything that can be wrong with a file."""

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.immediate import ImmediateLedger
from trickleweb.ledger import Claim, Done, LedgerUnavailable, Lost, New, Pending, ledger_key, request_key
from trickleweb.plain import StateTooLarge
from trickleweb.stores import SharedMemory, owners
from trickleweb.stores.ledger_file import LedgerFile
from trickleweb.stores.owners import Owner, is_alive, sweep

KEY = ledger_key("test", b"1")
AnyLedger = ImmediateLedger | LedgerFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[LedgerFile]:
    opened = LedgerFile(path, durable=False)
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "sqlite", "durable"])
def any_ledger(request: pytest.FixtureRequest, path: Path) -> Iterator[AnyLedger]:
    if request.param == "memory":
        yield ImmediateLedger()
        return
    opened = LedgerFile(path, durable=request.param == "durable")
    yield opened
    opened.close()


def claim_many(ledger: AnyLedger, count: int) -> None:
    for at in range(count):
        ledger.claim(ledger_key("n", at.to_bytes(2, "big")), now=at)


def test_a_key_is_new_once_then_pending_then_done(any_ledger: AnyLedger) -> None:
    assert any_ledger.claim(KEY, now=1) == New()
    assert any_ledger.claim(KEY, now=2) == Pending()
    assert any_ledger.complete(KEY, b"plan", now=3) == b"plan"
    assert any_ledger.complete(KEY, b"other", now=4) == b"plan"
    assert any_ledger.claim(KEY, now=5) == Done(b"plan")


def test_an_empty_plan_is_a_plan(any_ledger: AnyLedger) -> None:
    any_ledger.claim(KEY, now=1)
    assert any_ledger.complete(KEY, b"", now=1) == b""
    assert any_ledger.claim(KEY, now=1) == Done(b"")


def test_what_was_not_begun_can_be_given_back(any_ledger: AnyLedger) -> None:
    any_ledger.claim(KEY, now=1)
    any_ledger.release(KEY)
    assert any_ledger.claim(KEY, now=1) == New()
    any_ledger.complete(KEY, b"x", now=1)
    any_ledger.release(KEY)
    any_ledger.release(b"unknown")
    assert any_ledger.claim(KEY, now=1) == Done(b"x")


def test_what_was_kept_is_found_without_a_claim(any_ledger: AnyLedger) -> None:
    assert any_ledger.find(KEY) is None
    any_ledger.claim(KEY, now=1)
    assert any_ledger.find(KEY) is None
    any_ledger.complete(KEY, b"", now=1)
    assert any_ledger.find(KEY) == Done(b"")
    assert any_ledger.find(b"unknown") is None
    assert any_ledger.claim(b"unknown", now=1) == New()


def test_only_what_is_lost_is_taken_over(any_ledger: AnyLedger) -> None:
    assert any_ledger.adopt(KEY, now=1) == New()  # as `claim`
    assert any_ledger.adopt(KEY, now=2) == Pending()
    any_ledger.complete(KEY, b"x", now=3)
    assert any_ledger.adopt(KEY, now=4) == Done(b"x")


def test_old_rows_are_forgotten(any_ledger: AnyLedger) -> None:
    for at in range(5):
        any_ledger.claim(ledger_key("n", bytes([at])), now=at)
    any_ledger.complete(ledger_key("n", bytes([0])), b"x", now=9)
    assert any_ledger.expire(before=3) == 2
    assert any_ledger.claim(ledger_key("n", bytes([0])), now=9) == Done(b"x")
    assert any_ledger.claim(ledger_key("n", bytes([1])), now=9) == New()
    assert any_ledger.claim(ledger_key("n", bytes([3])), now=9) == Pending()


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "adopt", "complete", "find", "release", "die", "expire"]),
        st.integers(0, 1),
        st.integers(0, 2),
    ),
    max_size=25,
)


def done(ledger: AnyLedger, operation: str, key: bytes, plan: bytes, now: int) -> Claim | bytes | int | None:
    """Do one operation, and give what it gives."""
    if operation == "claim":
        return ledger.claim(key, now=now)
    if operation == "adopt":
        return ledger.adopt(key, now=now)
    if operation == "find":
        return ledger.find(key)
    if operation == "complete":
        return ledger.complete(key, plan, now=now)
    if operation == "expire":
        return ledger.expire(before=now - 8)
    ledger.release(key)
    return None


@pytest.mark.slow
@settings(max_examples=40)
@given(OPERATIONS)
def test_it_agrees_with_the_simple_model(operations: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as folder:
        path, shared = Path(folder) / "ledger", SharedMemory()
        files = [LedgerFile(path, durable=False) for _ in range(2)]
        models = [ImmediateLedger(shared, f"{who}") for who in range(2)]
        for now, (operation, who, which) in enumerate(operations):
            if operation == "die":
                files[who].close()
                shared.dead.add(models[who].ledger.owner)
                files[who], models[who] = LedgerFile(path, durable=False), ImmediateLedger(shared, f"{who} since {now}")
                continue
            key, plan = ledger_key("n", bytes([which])), f"plan {now}".encode()
            told = done(files[who], operation, key, plan, now)
            assert told == done(models[who], operation, key, plan, now)
        for each in files:
            each.close()


def test_two_openers_see_one_ledger(path: Path, ledger: LedgerFile) -> None:
    other = LedgerFile(path)
    assert ledger.claim(KEY, now=1) == New()
    assert other.claim(KEY, now=1) == Pending()
    other.release(KEY)  # not its own
    assert other.claim(KEY, now=1) == Pending()
    other.close()


def test_a_closed_ledgers_claims_are_lost_and_settled_once(path: Path, ledger: LedgerFile) -> None:
    other = LedgerFile(path)
    other.claim(KEY, now=1)
    other.close()
    assert ledger.claim(KEY, now=2) == Lost()
    ledger.release(KEY)
    assert ledger.claim(KEY, now=2) == Lost()
    third = LedgerFile(path)
    assert third.complete(KEY, b"unknown", now=3) == b"unknown"
    assert ledger.complete(KEY, b"unknown, said later", now=3) == b"unknown"
    assert ledger.claim(KEY, now=4) == Done(b"unknown")
    third.close()


def test_what_is_lost_is_taken_over_once_and_lost_again(path: Path, ledger: LedgerFile) -> None:
    dead, other = LedgerFile(path), LedgerFile(path)
    dead.claim(KEY, now=1)
    dead.close()
    assert other.adopt(KEY, now=2) == New()
    assert ledger.adopt(KEY, now=3) == Pending()
    assert ledger.claim(KEY, now=3) == Pending()
    other.close()
    assert ledger.claim(KEY, now=4) == Lost()
    assert ledger.adopt(KEY, now=5) == New()
    assert ledger.complete(KEY, b"x", now=6) == b"x"


def test_one_that_was_faster_is_not_taken_over(path: Path, ledger: LedgerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, other = LedgerFile(path), LedgerFile(path)
    dead.claim(KEY, now=1)
    dead.close()
    execute = ledger._execute

    def late(statement: str, *values: object) -> sqlite3.Cursor:
        if statement.startswith("UPDATE"):
            assert other.adopt(KEY, now=2) == New()
        return execute(statement, *values)

    monkeypatch.setattr(ledger, "_execute", late)
    assert ledger.adopt(KEY, now=2) == Pending()
    other.close()


def test_threads_of_one_process_claim_once(path: Path) -> None:
    shared = SharedMemory()
    for make in (lambda: ImmediateLedger(shared), lambda: LedgerFile(path, durable=False)):
        ledger: AnyLedger = make()
        with ThreadPoolExecutor(8) as threads:
            keys = [ledger_key("n", bytes([at % 20])) for at in range(200)]
            claims = list(threads.map(lambda key, ledger=ledger: ledger.claim(key, now=1), keys))
        assert claims.count(New()) == 20
        assert claims.count(Pending()) == 180
        if isinstance(ledger, LedgerFile):
            ledger.close()


def test_what_is_completed_without_a_claim_is_kept(any_ledger: AnyLedger) -> None:
    assert any_ledger.complete(KEY, b"x", now=1) == b"x"
    assert any_ledger.claim(KEY, now=2) == Done(b"x")


def test_claims_sweep_out_what_is_old(path: Path) -> None:
    ledger = LedgerFile(path, durable=False, keep=10)
    ledger.claim(KEY, now=0)
    claim_many(ledger, 300)
    assert ledger.claim(KEY, now=300) == New()
    ledger.close()


def test_a_full_ledger_claims_nothing(path: Path) -> None:
    ledger = LedgerFile(path, durable=False, max_bytes=1 << 16)
    with pytest.raises(LedgerUnavailable, match="full"):
        claim_many(ledger, 10_000)
    assert 100 < ledger.expire(before=10_000) < 2000
    assert ledger.claim(KEY, now=1) == New()
    ledger.close()


def test_a_plan_too_large_is_refused(path: Path) -> None:
    ledger = LedgerFile(path, durable=False, max_plan_bytes=10)
    ledger.claim(KEY, now=1)
    with pytest.raises(StateTooLarge, match="11 bytes does not fit the ledger"):
        ledger.complete(KEY, bytes(11), now=1)
    assert ledger.claim(KEY, now=1) == Pending()
    ledger.close()


def test_a_locked_file_is_waited_for_and_then_given_up(path: Path) -> None:
    ledger = LedgerFile(path, durable=False, wait_s=0)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked"):
        ledger.claim(KEY, now=1)
    writer.execute("ROLLBACK")
    writer.close()
    assert ledger.claim(KEY, now=1) == New()
    ledger.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"not a database, and long enough to show it" * 100)
    garbage.chmod(0o600)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        LedgerFile(garbage)
    with pytest.raises(LedgerUnavailable, match="No such file"):
        LedgerFile(tmp_path / "nowhere" / "ledger")
    with pytest.raises(LedgerUnavailable, match="directory"):
        LedgerFile(tmp_path)


def test_another_releases_file_is_refused(path: Path, ledger: LedgerFile) -> None:
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 9")
    base.close()
    with pytest.raises(LedgerUnavailable, match=r"another release \(9\): remove it"):
        LedgerFile(path)


def test_the_file_is_private(path: Path, ledger: LedgerFile) -> None:
    ledger.claim(KEY, now=1)
    for each in path.parent.glob("ledger*"):
        assert each.stat().st_mode & 0o077 == 0, each
    path.chmod(0o640)
    with pytest.raises(LedgerUnavailable, match="chmod go-rwx"):
        LedgerFile(path)


def test_a_damaged_table_is_a_typed_error(path: Path, ledger: LedgerFile) -> None:
    base = sqlite3.connect(path)
    base.execute("DROP TABLE claims")
    base.close()
    with pytest.raises(LedgerUnavailable, match="no such table"):
        ledger.claim(KEY, now=1)


def test_a_fork_does_not_use_its_parents_ledger(ledger: LedgerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(LedgerUnavailable, match="open one in each process"):
        ledger.claim(KEY, now=1)


def test_owners_live_and_die(tmp_path: Path) -> None:
    one, other = Owner(tmp_path), Owner(tmp_path)
    assert is_alive(tmp_path, one.name)
    sweep(tmp_path)
    assert is_alive(tmp_path, other.name)
    one.close()
    assert not is_alive(tmp_path, one.name)
    (tmp_path / other.name).unlink()
    other.close()
    (tmp_path / "0123456789abcdef").touch()  # what a killed process leaves
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not is_alive(tmp_path, "never there")


def test_an_owner_that_is_swept_while_it_begins_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def swept_first(descriptor: int) -> bool:
        if len(begun) < 2:  # one sweeper removes the file, another holds its lock
            name = next(tmp_path.iterdir()).name
            begun.append(name)
            (tmp_path / name).unlink()
            return len(begun) == 1
        return lock(descriptor)

    lock = owners._lock
    monkeypatch.setattr(owners, "_lock", swept_first)
    owner = Owner(tmp_path)
    monkeypatch.undo()
    assert len({*begun, owner.name}) == 3
    assert is_alive(tmp_path, owner.name)
    owner.close()


def test_no_other_process_comes_between_the_statements_of_a_claim(
    path: Path, ledger: LedgerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = LedgerFile(path, durable=False, wait_s=0)
    other.claim(KEY, now=1)
    execute, refused = ledger._execute, list[str]()

    def releasing(statement: str, *values: object) -> sqlite3.Cursor:
        if statement.startswith("SELECT"):
            with pytest.raises(LedgerUnavailable, match="locked"):
                other.release(KEY)
            refused.append(statement)
        return execute(statement, *values)

    monkeypatch.setattr(ledger, "_execute", releasing)
    assert ledger.claim(KEY, now=1) == Pending()
    assert len(refused) == 1
    other.release(KEY)
    assert ledger.claim(KEY, now=1) == New()
    other.close()


def test_a_transaction_that_fails_leaves_nothing(ledger: LedgerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    other, execute = ledger_key("test", b"2"), ledger._execute

    def full(statement: str, *values: object) -> sqlite3.Cursor:
        if other in values:
            raise sqlite3.OperationalError("database or disk is full")
        return execute(statement, *values)

    monkeypatch.setattr(ledger, "_execute", full)
    with pytest.raises(LedgerUnavailable, match="full"):
        ledger.claims([(KEY, 1), (other, 1)])
    with pytest.raises(LedgerUnavailable, match="full"):
        ledger.completes([(KEY, b"x", 1), (other, b"x", 1)])
    monkeypatch.undo()
    assert ledger.claims([(KEY, 1), (other, 1), (KEY, 1)]) == [New(), New(), Pending()]


def test_keys_never_collide_between_purposes_or_parts() -> None:
    keys = [ledger_key("a", b"bc"), ledger_key("ab", b"c"), ledger_key("a", b"b", b"c"), ledger_key("a", b"", b"bc")]
    keys += [request_key(b"12345678", 1), request_key(b"12345678", 256), request_key(b"12345679", 1)]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}
