"""`python -m trickleweb` is the command `trickleweb`."""

from trickleweb.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
