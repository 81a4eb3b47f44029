"""Run the command `trickles` as `python -m trickles`."""

import sys

from trickles.cli import main

if __name__ == "__main__":
    sys.exit(main())
