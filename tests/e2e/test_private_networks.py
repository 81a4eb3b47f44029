"""Pass-through in a network where special addresses lead somewhere: no program gets there by way of the gateway."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.namespaces import Machines, ip, machines
from tests.support.processes import PATIENCE_SECONDS, ListeningProgram, Program
from tests.support.system import require
from trickles.drivers.addresses import shown

pytestmark = pytest.mark.e2e

SPECIAL = ["fec0::7", "64:ff9b:1::a01:203", "::10.1.2.3", "fd00::7", "3fff::7", "5f00::7", "100::7", "2001:db8::7"]
SPECIAL += ["192.0.0.8", "192.88.99.1", "198.18.0.7", "10.1.2.3", "240.0.0.7"]
MAPPED = [f"::ffff:{host}" for host in SPECIAL if ":" not in host]
GLOBAL = ["9.9.9.7", "2a00:9::7"]  # as seen from there


@pytest.fixture
def network() -> Iterator[Machines]:
    """A client whose default routes lead to a server that has all these addresses."""
    with machines() as made:
        made.cable("client", "server", 1, mtu=1500)
        client, server = made.name("client"), made.name("server")
        for host in SPECIAL + GLOBAL:
            version, length = ("-6", 128) if ":" in host else ("-4", 32)
            ip("-n", server, version, "address", "add", f"{host}/{length}", "dev", "lo")
            gate = "fd09:1::2" if ":" in host else "10.9.1.2"
            ip("-n", client, version, "route", "replace", f"{host}/{length}", "via", gate)
        yield made


def fetched(machine: str, proxy: str, host: str, port: int) -> str:
    """The status that curl on that machine gets for a page there, by way of the proxy."""
    url = f"http://{shown((host, port))}/"
    words = [require("ip"), "netns", "exec", machine, require("curl"), "--proxy", f"http://{proxy}", "--noproxy", ""]
    words += ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "20", url]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS).stdout


def test_special_addresses_are_refused_and_lead_to_a_page_where_they_are_allowed(network: Machines) -> None:
    client, server = network.name("client"), network.name("server")
    everywhere = ("--allow", "::/0", "--allow", "0.0.0.0/0")
    words = ("--listen", "proxy@127.0.0.1:0", "--pass-through")
    with (
        Program("http.server", "0", "--bind", "::", namespace=server) as pages,
        ListeningProgram(*words, namespace=client) as closed,
        ListeningProgram(*words, *everywhere, namespace=client) as opened,
    ):
        port = int(pages.output.next().partition(" port ")[2].partition(" ")[0])
        strict, lax = shown(closed.addresses[0]), shown(opened.addresses[0])
        hosts = SPECIAL + MAPPED
        assert {host: fetched(client, lax, host, port) for host in hosts} == dict.fromkeys(hosts, "200")
        assert {host: fetched(client, strict, host, port) for host in hosts} == dict.fromkeys(hosts, "403")
        assert {host: fetched(client, strict, host, port) for host in GLOBAL} == dict.fromkeys(GLOBAL, "200")
