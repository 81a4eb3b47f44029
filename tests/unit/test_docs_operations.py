"""The operations page cannot rot: its limits, counters, reasons and figures are those of the source."""

import re
from dataclasses import fields

import pytest

from docs.limits_tables import page, value
from tests.support.processes import ROOT
from trickles.gateway.context import Statistics
from trickles.gateway.fleet_upstream import TOO_LATE
from trickles.service import Refusal

PAGE = (ROOT / "docs" / "operations.md").read_text()
ALONE = "answered|awaits|certificates|cookies|goodbyes|hellos|pieces|pings|unrenewed"
COUNTER = rf"(?:{ALONE}|(?:clock|dropped|refused|service)\.[a-z_]+)"


def source(*folders: str) -> str:
    """The text of all modules in some folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(path.read_text() for path in paths)


def told_counters() -> set[str]:
    """The names in the first column of the table of counters."""
    table = PAGE.partition("| counter | counts |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


def counters() -> set[str]:
    """The names that a listener counts by: written out, or made from a refusal's name."""
    made = {f"refused.{each.name.lower()}" for each in Refusal if each is not Refusal.WORKING}
    return set(re.findall(f'"({COUNTER})"', source("trickles/listener"))) | made


def test_the_tables_of_limits_are_those_of_the_source() -> None:
    assert page(PAGE) == PAGE, "run python docs/limits_tables.py"
    assert PAGE.count("| limit | default |") == 11


@pytest.mark.parametrize(
    ("name", "written", "default", "shown"),
    [
        ("life", "30 * SECOND", 30_000_000, "30 s"),
        ("life", "24 * 3600 * SECOND", 86_400_000_000, "24 h"),
        ("floor", "10 * MILLISECOND", 10_000, "10 ms"),
        ("linger", "5.0", 5.0, "5 s"),
        ("after", "0.01", 0.01, "10 ms"),
        ("window_bytes", "4 << 20", 4 << 20, "4 MiB"),
        ("datagram_bytes", "65_507", 65_507, "65,507 bytes"),
        ("window", "1 << 16", 1 << 16, "65,536"),
        ("methods", "METHODS", frozenset({"PUT", "GET"}), "GET, PUT"),
    ],
)
def test_defaults_are_shown_with_their_units(name: str, written: str, default: object, shown: str) -> None:
    assert value(name, written, default) == shown


def test_every_counter_of_a_replica_is_explained_and_no_other() -> None:
    assert told_counters() == counters()
    assert len(counters()) > 15


def test_every_figure_of_a_gateway_is_explained() -> None:
    paragraph = PAGE.partition("A gateway reports ")[2].partition("\n\n")[0]
    assert {field.name for field in fields(Statistics)} - {"reasons"} <= set(re.findall(r"`(\w+)`", paragraph))


def test_every_reason_for_which_a_transfer_fails_is_explained() -> None:
    reasons = set(re.findall(r'ConnectionFailed\(f?"([^"{]+)', source("trickles/client")))
    text = source("trickles/gateway", "trickles/drivers")
    reasons |= set(re.findall(r'(?:_tell|stop|failed|\.refuse)\(f?"([^"{]+)', text)) | {TOO_LATE}
    table = PAGE.partition("| reason | meaning |")[2].partition("\n\n")[0]
    missing = {reason for reason in reasons - {"closed"} if f"`{reason.strip()}" not in table}
    assert not missing
    assert len(reasons) > 5
