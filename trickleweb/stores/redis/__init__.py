"""Stores in Redis or Valkey, for replicas on several machines. They need the extra `trickles[redis]`."""

from trickleweb.stores.redis.address import BadRedisUrl, RedisUrl
from trickleweb.stores.redis.driver import RedisAway, RedisFull
from trickleweb.stores.redis.ledger import RedisLedger
from trickleweb.stores.redis.limits import RedisLimits
from trickleweb.stores.redis.link import OtherRedisRelease
from trickleweb.stores.redis.responses import RedisResponses
from trickleweb.stores.redis.spool import RedisSpool
from trickleweb.stores.redis.topics import RedisTopics

__all__ = [
    "BadRedisUrl", "OtherRedisRelease", "RedisAway", "RedisFull", "RedisLedger", "RedisLimits", "RedisResponses",
    "RedisSpool", "RedisTopics", "RedisUrl",
]  # fmt: skip
