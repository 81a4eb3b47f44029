"""Trickleweb: an HTTP framework on Trickles whose responses resume on any replica."""

__all__: list[str] = []
