"""`python -m benchmarks.applications`, the same as `python -m benchmarks applications`."""

from benchmarks.applications import main

if __name__ == "__main__":
    raise SystemExit(main())
