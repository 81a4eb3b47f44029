"""Attacks on replicas of one's own: each with its gain, with and without the defence against it."""
