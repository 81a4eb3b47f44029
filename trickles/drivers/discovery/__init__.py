"""Discovery of a fleet's replicas: a list, a watched file, names in DNS; repeated while a process runs."""

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
