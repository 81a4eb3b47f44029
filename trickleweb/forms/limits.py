"""The bounds of forms, each with its default and its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """Every bound on a form beside the body's own; what goes beyond one is answered 413."""

    max_fields: int = 1000  # of a query or form, files included: more is an attack on whatever loops over them
    max_field_bytes: int = 1 << 20  # of one text field
    max_file_bytes: int = 16 << 20  # of one file; a route that takes uploads raises it, or reads the parts as they come
    max_part_header_bytes: int = 4096  # of the lines in front of one part: three short ones


DEFAULT_FORM_LIMITS = FormLimits()
