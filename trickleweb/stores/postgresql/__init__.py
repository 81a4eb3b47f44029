"""Stores in PostgreSQL, for replicas on several machines. They need the extra `trickles[postgresql]`."""

from trickleweb.stores.postgresql.address import BadDatabaseUrl, DatabaseUrl
from trickleweb.stores.postgresql.ledger import PostgresLedger
from trickleweb.stores.postgresql.limits import PostgresLimits
from trickleweb.stores.postgresql.schema import OtherSchema

__all__ = ["BadDatabaseUrl", "DatabaseUrl", "OtherSchema", "PostgresLedger", "PostgresLimits"]
