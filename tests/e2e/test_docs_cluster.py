"""The program of docs/cluster.md: one order for each request, whichever replica dies when."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.ledger_houses import WITH_SERVER, shared_cluster
from tests.support.processes import PATIENCE_SECONDS, ROOT, GatewayProgram, Program
from trickles.drivers.dialer import parse_address
from trickles.drivers.keystore import init_keystore

pytestmark = WITH_SERVER
HELD = """
CREATE TABLE held ();
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN WHILE EXISTS (SELECT FROM held) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NEW; END $$;
CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION wait();
"""  # a commit waits as long as there is a row
AT_COMMIT = "SELECT application_name, pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


def block(name: str) -> str:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    found = re.search(rf"^```\w+ {re.escape(name)}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def post(gateway: GatewayProgram, path: str) -> bytes:
    host, port = gateway.address
    with urlopen(Request(f"http://{host}:{port}{path}", method="POST"), timeout=2 * PATIENCE_SECONDS) as response:
        data: bytes = response.read()
        return data


def at_commit() -> tuple[int, str]:
    """The index of the replica that waits for its commit, and the server's process; once there is one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := shared_cluster().sql(AT_COMMIT)):
        assert time.monotonic() < deadline, "nobody commits"
    name, _, backend = found.partition("|")
    return int(name.removeprefix("replica-")), backend


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])
def test_an_order_is_made_once_although_its_replica_dies(
    committed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, database = shared_cluster(), f"orders_{int(committed)}"
    cluster.sql(f"CREATE DATABASE {database}")
    cluster.sql(block("orders.sql") + HELD, database)
    (tmp_path / "orders.py").write_text(block("orders.py"), encoding="utf-8")
    init_keystore(tmp_path / "keys")
    with ExitStack() as undo:
        replicas = []
        for index in range(2):
            monkeypatch.setenv("DATABASE_URL", cluster.url(database, application_name=f"replica-{index}"))
            shared = ("--keyring", tmp_path / "keys", "--ledger", cluster.url(schema=database))
            what = ("--app", "orders:app", "--app-dir", tmp_path, "--udp", "127.0.0.1:0")
            replicas.append(undo.enter_context(Program("trickleweb", "replica", *what, *shared)))
        places = [parse_address(each.output.next().removeprefix("replica on ")) for each in replicas]
        gateway = undo.enter_context(GatewayProgram(places, "--server-key", tmp_path / "keys" / "server.pub"))
        assert post(gateway, "/orders/tea") == b'{"order":1}'
        cluster.sql("INSERT INTO held DEFAULT VALUES", database)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(post, gateway, "/orders/milk")
            index, backend = at_commit()
            replicas[index].kill()
            if not committed:
                cluster.sql(f"SELECT pg_terminate_backend({backend}, 5000)")
            cluster.sql("DELETE FROM held", database)
            response = waiting.result(2 * PATIENCE_SECONDS)
        numbers = cluster.sql("SELECT id FROM orders WHERE item = 'milk'", database)
        assert response == b'{"order":%s}' % numbers.encode()
