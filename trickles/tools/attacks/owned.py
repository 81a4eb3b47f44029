"""Allowed targets of attacks: loopback, and network namespaces of this machine.

The address must be numeric, since the address of a name may change. It must be

- a loopback address, or
- an address of an interface in a network namespace other than the machine's first one, in which a process of this
  machine lives (by its tables in /proc; a replica that listens there is such a process); and then either this program
  runs in that namespace itself, so that the kernel delivers locally, or the route leaves through one end of a veth
  pair. Bridges, tunnels and real interfaces are refused, for they may lead to other machines.

Datagrams to a namespace are sent with a hop limit of 1: no router carries them on.
"""

from __future__ import annotations

import array
import fcntl
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from trickles.drivers.addresses import Address, shown
from trickles.errors import TricklesError

_LOCAL_V4 = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")  # leaves of /proc/PID/net/fib_trie
_IOCTL_ADDRESS, _IOCTL_ETHTOOL, _DRIVER = 0x8915, 0x8946, 3  # linux/sockios.h, linux/ethtool.h
_DRIVER_INFO_BYTES, _DRIVER_NAME = 196, slice(4, 36)
Host = IPv4Address | IPv6Address


class ForeignTarget(TricklesError):
    """An address that may not be attacked; the text says why."""


def check_owned(address: Address) -> None:
    """Raise ForeignTarget unless that address may be attacked; see the module's text."""
    host = _numeric(address)
    if host.is_loopback:
        return
    homes = set(_namespaces_of(host))
    if not homes:
        raise ForeignTarget(
            f"{shown(address)} is neither a loopback address nor one of a network namespace of this machine in which "
            "a process listens: attacks are for replicas of your own, on this machine"
        )
    if _namespace("self") not in homes and (driver := _driver_towards(address)) != "veth":
        raise ForeignTarget(f"the way to {shown(address)} is no veth cable to a network namespace ({driver})")


def _numeric(address: Address) -> Host:
    try:
        host = ip_address(address[0])
    except ValueError:
        raise ForeignTarget(f"{address[0]!r} is no numeric address: names are not looked up for attacks") from None
    if isinstance(host, IPv6Address) and (host.scope_id or host.ipv4_mapped):
        raise ForeignTarget(f"{address[0]} has a zone or hides an IPv4 address: name the plain address")
    return host


def _namespaces_of(host: Host) -> Iterator[int]:
    """Yield the network namespaces with that address and a process, except the machine's first one."""
    first = _namespace("1") or _namespace("self")  # without access to process 1: assume its namespace
    seen = {first}
    for entry in Path("/proc").iterdir():
        space = _namespace(entry.name) if entry.name.isdigit() else None
        if space is None or space in seen:
            continue
        seen.add(space)
        if host in _addresses(entry):
            yield space


def _namespace(process: str) -> int | None:
    try:
        return Path(f"/proc/{process}/ns/net").stat().st_ino
    except OSError:
        return None


def _addresses(process: Path) -> set[Host]:
    """Return all addresses of interfaces in that process's network namespace; none when it is gone."""
    found: set[Host] = set()
    with suppress(OSError):
        found.update(IPv4Address(text) for text in _LOCAL_V4.findall((process / "net/fib_trie").read_text()))
        lines = (process / "net/if_inet6").read_text().splitlines()
        found.update(IPv6Address(bytes.fromhex(line.split()[0])) for line in lines)
    return found


def _driver_towards(address: Address) -> str:
    """Return the driver of the interface of the route to that address, as the kernel names it."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address[0], address[1] or 9))  # sends nothing: the kernel only chooses a route
        except OSError:
            return "no way there"
        source = ip_address(probe.getsockname()[0])
        names = [name for _, name in socket.if_nameindex() if source in _of_interface(probe, name)]
        return _driver(probe, names[0]) if len(names) == 1 else "no single interface"


def _of_interface(probe: socket.socket, name: str) -> set[Host]:
    found: set[Host] = set()
    request = struct.pack("16s24x", name.encode())
    with suppress(OSError):  # it has none of that version
        found.add(IPv4Address(fcntl.ioctl(probe, _IOCTL_ADDRESS, request)[20:24]))
    with suppress(OSError):
        lines = Path("/proc/self/net/if_inet6").read_text().splitlines()
        found.update(IPv6Address(bytes.fromhex(line.split()[0])) for line in lines if line.split()[-1] == name)
    return found


def _driver(probe: socket.socket, name: str) -> str:
    """Return the name of the interface's driver (ETHTOOL_GDRVINFO)."""
    answer = array.array("B", struct.pack("I", _DRIVER).ljust(_DRIVER_INFO_BYTES, b"\0"))
    where, _ = answer.buffer_info()
    try:
        fcntl.ioctl(probe, _IOCTL_ETHTOOL, struct.pack("16sP16x", name.encode(), where))
    except OSError as error:
        return f"{name}: {error.strerror}"
    return answer.tobytes()[_DRIVER_NAME].rstrip(b"\0").decode("ascii", "replace")
