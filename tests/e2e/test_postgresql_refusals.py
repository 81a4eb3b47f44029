"""Servers that refuse the ledger in PostgreSQL, and the identity of its tables: the reason is known, no password is."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.ledger_houses import WITH_SERVER, shared_cluster
from tests.support.loop import on_loop
from tests.support.postgres import PASSWORD, Pooler
from tests.support.postgres_ledgers import QUICK, break_owners, claimed, fresh_url, opened
from trickleweb.errors import LedgerAway, LedgerUnavailable, LedgerUnwritable
from trickleweb.ledger import Lost, New, Pending, ledger_key
from trickleweb.stores.postgresql import OtherSchema, PostgresLedger, driver
from trickleweb.stores.postgresql.address import DatabaseUrl

pytestmark = WITH_SERVER
KEY = ledger_key("test", b"1")


@pytest.fixture
def url() -> str:
    return fresh_url()


# Servers that refuse


async def refusal(url: str) -> str:
    """Why a ledger cannot be opened."""
    async with opened(url) as (ledger,):
        with pytest.raises(LedgerUnavailable) as raised:
            await ledger.open()
        with pytest.raises(LedgerUnavailable) as again:
            ledger.look()
        assert str(again.value) == str(raised.value)
        return str(raised.value)


def test_a_refusal_says_why_without_the_password() -> None:
    cluster = shared_cluster()

    async def test() -> None:
        assert "password authentication failed" in await refusal(cluster.tcp_url("hunter2"))
        assert '"nowhere" does not exist' in await refusal(cluster.tcp_url(database="nowhere"))
        assert "hunter2" not in await refusal(cluster.tcp_url("hunter2"))
        assert PASSWORD not in await refusal(cluster.tcp_url(database="nowhere"))
        async with opened(cluster.tcp_url()) as (ledger,):
            await ledger.open()

    on_loop(test())


def test_passwords_are_found_where_libpq_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = shared_cluster()

    async def test() -> None:
        async with opened(f"postgresql://tester@127.0.0.1:{cluster.port}/postgres?schema=env") as (ledger,):
            assert await ledger.claim(KEY, now=1) == New()

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    on_loop(test())


def test_tables_of_another_release_are_left_alone(url: str) -> None:
    schema, cluster = DatabaseUrl.parse(url).schema, shared_cluster()

    async def test() -> None:
        async with opened(url) as (ledger,):
            await ledger.claim(KEY, now=1)
        cluster.sql(f"UPDATE {schema}.identity SET release = 7")
        async with opened(url, limits=QUICK) as (ledger,):
            with pytest.raises(OtherSchema, match="of release 7, and this program needs 1"):
                await ledger.open()
            with pytest.raises(LedgerAway, match="of release 7"):
                await ledger.claim(KEY, now=1)
            cluster.sql(f"UPDATE {schema}.identity SET release = 1")
            while await claimed(ledger, KEY) != Lost():  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0)

    on_loop(test())


def error_on_insert(schema: str, body: str) -> None:
    """Let each INSERT and UPDATE of claims run a piece of code first."""
    shared_cluster().sql(
        f"CREATE FUNCTION {schema}.hurt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;"
        f"CREATE TRIGGER hurt BEFORE INSERT OR UPDATE ON {schema}.claims EXECUTE FUNCTION {schema}.hurt()"
    )


@pytest.mark.parametrize(("state", "lasting"), [("53100", True), ("25006", False), ("42501", False)])
def test_what_lasts_is_told_from_what_passes(url: str, state: str, lasting: bool) -> None:
    schema = DatabaseUrl.parse(url).schema

    async def test() -> None:
        async with opened(url) as (ledger,):
            await ledger.claim(KEY, now=1)
            error_on_insert(schema, f"RAISE EXCEPTION 'hurt' USING ERRCODE = '{state}'")
            with pytest.raises(LedgerUnwritable, match="hurt") as raised:
                await ledger.claim(b"2", now=1)
            assert isinstance(raised.value, LedgerAway) != lasting
            with pytest.raises(LedgerUnavailable, match="hurt") as raised_then:
                await ledger.complete(KEY, b"", now=1)
            assert isinstance(raised_then.value, LedgerUnwritable) == lasting
            shared_cluster().sql(f"DROP TRIGGER hurt ON {schema}.claims")
            assert await ledger.claim(b"2", now=1) == New()
            assert await ledger.claim(KEY, now=1) == Pending()

    on_loop(test())


def test_a_server_that_is_too_slow_costs_no_claim(url: str) -> None:
    schema = DatabaseUrl.parse(url).schema

    async def test() -> None:
        async with opened(url, limits=replace(QUICK, call_s=0.3)) as (ledger,):
            await ledger.open()
            error_on_insert(schema, "PERFORM pg_sleep(0.6)")
            with pytest.raises(LedgerUnavailable, match="no reply in time"):
                await ledger.claim(KEY, now=1)
            shared_cluster().sql(f"DROP TRIGGER hurt ON {schema}.claims")
            assert await claimed(ledger, KEY) == New()
            assert await claimed(ledger, KEY) == Pending()

    on_loop(test())


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_a_pooler_serves_in_session_mode_only(mode: str) -> None:
    async def test(url: str) -> None:
        if mode != "session":
            assert "must be in session mode" in await refusal(url)
            return
        async with opened(shared_cluster().url()) as (other,):
            async with opened(url) as (pooled,):
                assert await pooled.claim(KEY, now=1) == New()
                assert await other.claim(KEY, now=1) == Pending()
            while await other.claim(KEY, now=1) != Lost():  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)

    with Pooler(shared_cluster(), mode) as url:
        on_loop(test(url))


# Identity


def test_a_dump_is_another_ledger_and_is_taken_over_by_a_look(url: str) -> None:
    cluster, schema = shared_cluster(), DatabaseUrl.parse(url).schema

    async def test() -> None:
        async with opened(url) as (ledger,):
            await ledger.claim(KEY, now=1)
            known = ledger.store_id
            cluster.sql(
                f"CREATE TABLE {schema}.copy (LIKE {schema}.claims INCLUDING ALL);"
                f"DROP TABLE {schema}.claims; ALTER TABLE {schema}.copy RENAME TO claims"
            )
            break_owners(ledger)
            while "another ledger is there now" not in await away(ledger):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0)
            assert ledger.store_id == known
            ledger.look()
            assert ledger.store_id != known
            assert await ledger.claim(KEY, now=1) == New()

    on_loop(test())


async def away(ledger: PostgresLedger) -> str:
    with pytest.raises(LedgerUnavailable) as raised:
        await ledger.claim(b"2", now=1)
    return str(raised.value)


@pytest.mark.parametrize("change", ["SET one = one", "SET id = '\\x00'"], ids=["the same", "another"])
def test_the_identity_follows_the_rows(url: str, change: str) -> None:
    schema = DatabaseUrl.parse(url).schema

    async def test() -> None:
        async with opened(url) as (one,):
            await one.open()
            shared_cluster().sql(f"UPDATE {schema}.identity {change}")
            async with opened(url) as (two,):
                await two.open()
                assert (one.store_id == two.store_id) == ("one" in change)

    on_loop(test())


def test_many_processes_that_begin_at_once_make_one_schema(url: str) -> None:
    async def test() -> None:
        async with opened(*[url] * 6) as ledgers:
            await asyncio.gather(*(ledger.open() for ledger in ledgers))
            assert len({ledger.store_id for ledger in ledgers}) == 1

    on_loop(test())


def test_a_role_without_privileges_uses_a_schema_that_is_there(url: str) -> None:
    cluster, schema = shared_cluster(), DatabaseUrl.parse(url).schema
    role = url.replace("tester@", "user_of_" + schema + "@")

    async def test() -> None:
        cluster.sql(f"CREATE ROLE user_of_{schema} LOGIN")
        assert "permission denied" in await refusal(role)
        async with opened(url) as (ledger,):
            await ledger.open()
            cluster.sql(
                f"GRANT USAGE ON SCHEMA {schema} TO user_of_{schema}; GRANT SELECT ON {schema}.identity TO"
                f" user_of_{schema}; GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.claims TO user_of_{schema}"
            )
            async with opened(role) as (other,):
                assert await other.claim(KEY, now=1) == New()
                assert other.store_id == ledger.store_id
                assert await ledger.claim(KEY, now=1) == Pending()

    on_loop(test())


def test_settings_that_would_forget_are_overruled(url: str) -> None:
    cluster = shared_cluster()

    async def settings() -> list[str]:
        connection = await driver.connect(DatabaseUrl.parse(url), limit_s=5, statement_s=5)
        rows = [await connection.fetch(f"SHOW {name}") for name in ("synchronous_commit", "transaction_isolation")]
        await connection.close()
        return [str(next(iter(row.values()))) for [row] in rows]

    cluster.sql("ALTER ROLE tester SET synchronous_commit = off; ALTER ROLE tester SET default_transaction_isolation"
                " = serializable")  # fmt: skip
    try:
        assert on_loop(settings()) == ["on", "read committed"]
    finally:
        cluster.sql("ALTER ROLE tester RESET ALL")


def test_old_rows_go_as_claims_come(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = DatabaseUrl.parse(url).schema

    async def test() -> None:
        async with opened(url, limits=replace(QUICK, keep=10)) as (ledger,):
            await asyncio.gather(*(ledger.claim(n.to_bytes(4, "big"), now=1) for n in range(500)))
            await asyncio.gather(*(ledger.claim(n.to_bytes(4, "big"), now=100) for n in range(500, 1100)))
            while shared_cluster().sql(f"SELECT count(*) FROM {schema}.claims") != "600":  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)

    on_loop(test())
