"""Drivers: the dull part of the transport that owns sockets, clocks and entropy, and decides nothing."""
