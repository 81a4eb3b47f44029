"""URLs of Redis servers: what they say, what is refused, and what is never shown."""

import pytest

from trickleweb.stores.redis import BadRedisUrl, RedisUrl


@pytest.mark.parametrize(
    ("text", "dsn", "shown"),
    [
        ("redis://cache", "redis://cache", "redis://cache"),
        ("redis://me:hunter2@cache:7000/3?prefix=b", "redis://me:hunter2@cache:7000/3", "redis://me@cache:7000/3"),
        ("rediss://[::1]:1/0?ssl_ca_certs=%2Fca", "rediss://[::1]:1/0?ssl_ca_certs=%2Fca", "rediss://[::1]:1/0"),
        ("unix://:hunter2@/run/redis?db=2&replicas=1", "unix://:hunter2@/run/redis?db=2", "unix:///run/redis?db=2"),
    ],
)
def test_a_url_is_read(text: str, dsn: str, shown: str) -> None:
    url = RedisUrl.parse(text)
    assert (url.dsn, url.shown) == (dsn, shown)
    assert "hunter2" not in repr(url)
    assert (url.prefix, url.replicas) == ("b" if "prefix" in text else "trickles", int("replicas" in text))
    assert "hunter2" not in url.redacted(f"wrong: hunter2 {url.dsn}") or not url.secrets


@pytest.mark.parametrize(
    "text",
    [
        "http://hunter2@cache", "redis://me:hunter2@cache:port/0", "redis://cache/hunter2", "redis://cache/0#hunter2",
        "redis://cache?password=hunter2", "redis://cache?db=1", "redis://cache?prefix=hunter2%20", "redis:///0?hunter2",
        "redis://cache?prefix=a&prefix=hunter2", "unix://hunter2", "unix:///s?db=hunter2", "redis://hunter2 x", "",
        "redis://cache?replicas=9", "redis://" + "hunter2" * 1000, "redis://hunter2\n", "redis://[hunter2", "rediss://a?x=1",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadRedisUrl) as raised:
        RedisUrl.parse(text)
    assert "hunter2" not in str(raised.value)
