"""The tables of a ledger in one schema of a database, and the identity of the ledger.

The identity is made of random bytes in the schema, the cluster's system identifier, and the object identifiers of the
database and of the table. So a dump that is restored elsewhere, or a copy of the tables, is another ledger, and a
physical standby is the same one.
"""

from __future__ import annotations

import hashlib
import secrets

from trickles.stores import STORE_ID_BYTES
from trickleweb.errors import LedgerUnwritable
from trickleweb.stores.postgresql.driver import DatabaseConnection, is_answer

RELEASE = 1
_LOCK = 0x7472_6963_6B6C_6573  # "trickles": one process at a time makes a schema
_MADE = "SELECT to_regclass($1) IS NOT NULL AS made"
_MAKE = """
BEGIN;
SELECT pg_advisory_xact_lock({lock});
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.claims (
    key bytea PRIMARY KEY, owner bigint NOT NULL, attempt bigint NOT NULL, at bigint NOT NULL, plan bytea);
CREATE INDEX IF NOT EXISTS claims_at ON {schema}.claims (at);
CREATE TABLE IF NOT EXISTS {schema}.identity (one integer PRIMARY KEY CHECK (one = 1), id bytea NOT NULL, release
    integer NOT NULL);
INSERT INTO {schema}.identity VALUES (1, decode('{fresh}', 'hex'), {release}) ON CONFLICT DO NOTHING;
COMMIT;
"""
_IDENTITY = """
SELECT id, release, (SELECT oid FROM pg_database WHERE datname = current_database())::bigint AS database,
    to_regclass($1)::oid::bigint AS claims FROM {schema}.identity
"""
_SYSTEM = "SELECT system_identifier FROM pg_control_system()"


class OtherSchema(LedgerUnwritable):
    """The tables were made by another release."""


async def prepared(connection: DatabaseConnection, schema: str, shown: str) -> bytes:
    """Make the tables if there are none; return the `store_id` of the ledger. Raise `OtherSchema`."""
    name = f'"{schema}"'
    [made] = await connection.fetch(_MADE, f"{name}.identity")
    if not made["made"]:
        fresh = secrets.token_bytes(STORE_ID_BYTES).hex()
        await connection.execute(_MAKE.format(lock=_LOCK, schema=name, fresh=fresh, release=RELEASE))
    rows = await connection.fetch(_IDENTITY.format(schema=name), f"{name}.claims")
    if len(rows) != 1 or rows[0]["release"] != RELEASE:
        found = rows[0]["release"] if rows else "none"
        raise OtherSchema(
            f"{shown}: schema {schema} is of release {found}, and this program needs {RELEASE}: use another with"
            " ?schema=NAME, or drop it when all replicas have stopped"
        )
    [row] = rows
    parts = (bytes(row["id"]), *(str(each).encode() for each in (await _system(connection), *list(row.values())[2:])))
    return hashlib.sha256(
        b"trickleweb 1 ledger in PostgreSQL" + b"".join(bytes([len(each)]) + each for each in parts)
    ).digest()


async def _system(connection: DatabaseConnection) -> int:
    """Return the cluster's system identifier; 0 where the role may not read it."""
    try:
        [row] = await connection.fetch(_SYSTEM)
    except Exception as error:
        if is_answer(error) and getattr(error, "sqlstate", "") in ("42501", "42883"):
            return 0
        raise
    return int(row["system_identifier"])
