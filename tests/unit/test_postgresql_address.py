"""URLs of databases: the good, the bad, and no secret in any text."""

import pytest

from trickleweb.stores.postgresql.address import BadDatabaseUrl, DatabaseUrl

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown", "schema"),
    [
        ("postgresql://db/shop", "postgresql://db/shop", "trickles"),
        ("postgres://me@db:5433/shop?schema=fleet_1", "postgres://me@db:5433/shop", "fleet_1"),
        (f"postgresql://me:{SECRET}@a:1,[::1]:2/shop", "postgresql://me@a:1,[::1]:2/shop", "trickles"),
        (f"postgresql://me@a/shop?password={SECRET}&sslmode=require", "postgresql://me@a/shop", "trickles"),
        ("postgresql:///shop?host=/run/pg", "postgresql:///shop?host=%2Frun%2Fpg", "trickles"),
    ],
)
def test_a_url_is_shown_without_its_secrets(text: str, shown: str, schema: str) -> None:
    url = DatabaseUrl.parse(text)
    assert (url.shown, url.schema) == (shown, schema)
    assert SECRET not in repr(url)
    assert "schema" not in url.dsn
    assert "target_session_attrs=read-write" in url.dsn
    assert (SECRET in url.redacted(f"no {SECRET} here")) == (SECRET not in text)


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://me:{SECRET}@db/shop",
        f"postgresql://me:{SECRET}/@db/shop",
        f"postgresql://me:{SECRET}?@db/shop",
        f"postgresql://me:{SECRET}#@db/shop",
        f"postgresql://me:{SECRET} x@db/shop",
        f"postgresql://me:x@{SECRET}:port/shop",
        f"postgresql://me:{SECRET}@db:port/shop",
        f"postgresql://me:{SECRET}@[db/shop",
        f"postgresql://me:{SECRET}@db/shop?schema=a&schema=b",
        f"postgresql://me:{SECRET}@db/shop?schema=Robert%27%29",
        f"postgresql://me:{SECRET}@db/shop?schema=pg_catalog",
        f"postgresql://me:{SECRET}@db/shop?schema=",
        f"postgresql://me:{SECRET}@db/shop?sslmod=require",
        f"postgresql://me:{SECRET}@db/shop?{SECRET}",
        f"postgresql://me:{SECRET}@db/{'x' * 5000}",
        "postgresql://db/\n",
        "",
    ],
)
def test_what_is_no_url_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(BadDatabaseUrl, match="not the URL of a database") as raised:
        DatabaseUrl.parse(text)
    assert SECRET not in str(raised.value)


def test_a_target_of_ones_own_is_kept() -> None:
    assert DatabaseUrl.parse("postgresql://db/shop?target_session_attrs=any").dsn.endswith("target_session_attrs=any")
