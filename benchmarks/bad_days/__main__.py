"""`python -m benchmarks.bad_days`, the same as `python -m benchmarks bad_days`."""

from benchmarks.bad_days import main

if __name__ == "__main__":
    raise SystemExit(main())
