"""A file as HTTP sees it: a resource with its metadata, and its variants that differ in content coding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """One representation: exact bytes, their tag ("" is none) and coding ("" is none); times in seconds since 1970."""

    content: str  # the content name that `Slice` carries
    etag: str
    size_bytes: int
    modified_s: int | None
    coding: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """What lies at one path; `variants` begin with the plain one. `media_type` is the whole Content-Type."""

    media_type: str
    cache_control: str
    variants: tuple[Variant, ...]
    vary: str = ""  # the request's field by which this resource was chosen among others, "" for none

    def is_ahead(self, now_s: int) -> bool:
        """Whether anything of it is dated in the future, so that what is said of it changes as time goes on."""
        return any(each.modified_s is not None and each.modified_s > now_s for each in self.variants)
