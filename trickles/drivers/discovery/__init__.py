"""Where a fleet's replicas are: a list, a file that is watched, names in DNS; asked again while a process runs."""

from trickles.drivers.discovery.dns import DnsServers, system_servers
from trickles.drivers.discovery.sources import AddressRecords, AddressSource, Listed, ReplicaFile, ServiceRecords
from trickles.drivers.discovery.watching import Discovery

__all__ = [
    "AddressRecords",
    "AddressSource",
    "Discovery",
    "DnsServers",
    "Listed",
    "ReplicaFile",
    "ServiceRecords",
    "system_servers",
]
