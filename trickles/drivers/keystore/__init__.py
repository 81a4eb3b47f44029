"""Key files: a fleet's keyring in a directory, a file or the environment, and its public identity."""

from trickles.drivers.keystore.document import epoch_name, fleet_identity
from trickles.drivers.keystore.making import (
    Rotation,
    ensure_keystore,
    ephemeral_keyring,
    init_keystore,
    rotate_if,
    rotate_keystore,
)
from trickles.drivers.keystore.server_key import read_server_key, server_key_text, write_server_key
from trickles.drivers.keystore.source import KeyringSource, keyring_text, load_keyring, save_keyring
from trickles.drivers.keystore.validity import KeyWatch

__all__ = [
    "KeyWatch",
    "KeyringSource",
    "Rotation",
    "ensure_keystore",
    "ephemeral_keyring",
    "epoch_name",
    "fleet_identity",
    "init_keystore",
    "keyring_text",
    "load_keyring",
    "read_server_key",
    "rotate_if",
    "rotate_keystore",
    "save_keyring",
    "server_key_text",
    "write_server_key",
]
