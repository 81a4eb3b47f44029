"""A program that knows no proxy: `HOST PORT BYTES` prints the digest of so much of the tape that it gets from there.

It reads in pieces, and after the first one says so and waits for a line, so that a test can do something meanwhile.
"""

import socket
import sys
from hashlib import sha256


def main(host: str, port: str, size: str) -> None:
    """Fetch."""
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(b"get %d\n" % int(size))
        left, digest = int(size), sha256()
        while left:
            data = connection.recv(min(left, 1 << 16))
            if not data:
                raise ConnectionError("the end came too early")
            digest.update(data)
            if left == int(size):
                print("begun", flush=True)
                sys.stdin.readline()
            left -= len(data)
        print(digest.hexdigest(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
