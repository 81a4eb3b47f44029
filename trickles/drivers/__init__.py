"""Drivers: sockets, clocks and entropy around the engines, without protocol decisions."""
