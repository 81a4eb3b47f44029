"""What a gateway knows of a connection when it is over, which no server does; and how that is written in a line."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trickles.drivers.addresses import Address, shown


class Completion(StrEnum):
    """How a connection ended."""

    COMPLETE = "complete"  # the server ended its output, and all of it was handed on
    CLOSED = "closed"  # in order, with nothing under way
    RESET = "reset"  # by the program
    FAILED = "failed"  # there is a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One connection. Bytes are those of the program's side; `replicas` counts packets that brought something."""

    client: str
    began: float  # seconds since 1970
    duration: float  # seconds
    completion: Completion
    reason: str = ""
    target: str = ""  # where the program wanted to go, in the modes that know
    bytes_in: int = 0
    bytes_out: int = 0
    replicas: Mapping[Address, int] = field(default_factory=dict)
    latencies_us: Mapping[Address, int] = field(default_factory=dict)  # of those that could be measured
    failovers: int = 0
    longest_stall_us: int = 0


def as_text(account: Account) -> str:
    """One line of words and NAME=VALUE, for people and for `awk`; the reason is the last, and may have blanks."""
    replicas = ",".join(f"{shown(replica)}*{packets}" for replica, packets in account.replicas.items())
    words = [
        timestamp(account.began),
        account.client,
        account.completion.value,
        f"seconds={account.duration:.3f}",
        f"in={account.bytes_in}",
        f"out={account.bytes_out}",
        f"replicas={replicas or '-'}",
        f"failovers={account.failovers}",
        f"stall_ms={account.longest_stall_us // 1000}",
    ]
    words += [f"target={account.target}"] if account.target else []
    line = " ".join([*words, *([f"reason={account.reason}"] if account.reason else [])])
    return line.encode("unicode_escape").decode() + "\n"  # it stays one line, whatever an error's text holds


def as_json(account: Account) -> str:
    """One line of JSON, ASCII throughout."""
    return (
        json.dumps(
            {
                "time": timestamp(account.began),
                "client": account.client,
                "completion": account.completion.value,
                "reason": account.reason or None,
                "target": account.target or None,
                "seconds": round(account.duration, 6),
                "bytes_in": account.bytes_in,
                "bytes_out": account.bytes_out,
                "replicas": {shown(replica): packets for replica, packets in account.replicas.items()},
                "failovers": account.failovers,
                "longest_stall_seconds": account.longest_stall_us / 1e6,
            }
        )
        + "\n"
    )


def timestamp(seconds: float) -> str:
    """In UTC, to the millisecond (RFC 3339)."""
    milliseconds = int(seconds * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03}Z"
