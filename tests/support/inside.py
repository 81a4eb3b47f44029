"""The owners inside a client engine, for tests of its bounds: the one place that looks behind its face."""

from trickles.client import Client
from trickles.client.parts import Parts


def parts(client: Client) -> Parts:
    """All that the connection is made of."""
    return client._parts
