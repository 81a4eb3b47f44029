"""What holds for every test: properties are checked on the same examples each time, and a failure can be replayed.

`--hypothesis-profile=long` looks further, on fresh random examples; use it by hand.
"""

from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True, database=None)
settings.register_profile("long", deadline=None, print_blob=True, max_examples=10_000)
settings.load_profile("suite")
