"""Visits to the programs: one module each, with `visit(user)`, and `effects(data)` where a visit leaves any."""
