"""Cookies: read leniently from clients, written strictly (RFC 6265bis)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from trickleweb.errors import WebError
from trickleweb.headers import Headers

SameSite = Literal["Strict", "Lax", "None"]
MAX_COOKIE_BYTES = 4096  # name and value; more is dropped by browsers (5.6)
MAX_ATTRIBUTE_BYTES = 1024  # of a path or domain; more is ignored by browsers (5.6)
MAX_COOKIES = 200  # read of one request: browsers hold fewer for a site

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r'[!#-+\--:<-\[\]-~]*|"[!#-+\--:<-\[\]-~]*"')  # 4.1.1, cookie-octet
_SENT_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_PATH = re.compile(r"/[ -:<-~]*")
_DOMAIN = re.compile(r"(?:[0-9a-z_-]{1,63}\.)*[0-9a-z_-]{1,63}", re.IGNORECASE)
_MAX_AGE_BOUND_S = 400 * 24 * 3600  # browsers keep none longer (5.5)


class BadCookie(WebError, ValueError):
    """A program's cookie that browsers would drop or change; the text gives the reason."""


class CookieTooLarge(BadCookie):
    """A cookie over 4,096 bytes: keep the data in a shared store, and only its key in the cookie."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set. Its value is sent as it is: encode all but ASCII without `,;" \\` and blanks.

    `max_age_s` None lets it end with the browser's session, 0 removes it. `domain` "" restricts it to this host.
    """

    name: str
    value: str
    max_age_s: int | None = None
    path: str = "/"
    domain: str = ""
    secure: bool = False
    http_only: bool = True  # out of reach of scripts
    same_site: SameSite = "Lax"

    def __post_init__(self) -> None:
        self._check_syntax()
        self._check_meaning()

    def header(self) -> str:
        """Return the value of a Set-Cookie field."""
        parts = [f"{self.name}={self.value}"]
        if self.max_age_s is not None:
            parts.append(f"Max-Age={self.max_age_s}")
        if self.domain:
            parts.append(f"Domain={self.domain}")
        parts.append(f"Path={self.path}")
        if self.secure:
            parts.append("Secure")
        if self.http_only:
            parts.append("HttpOnly")
        return "; ".join((*parts, f"SameSite={self.same_site}"))

    def _check_syntax(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadCookie(f"{self.name!r} is no name of a cookie")
        if not _VALUE.fullmatch(self.value):
            raise BadCookie(f"the value of {self.name} has a character that cookies cannot carry: encode it")
        if len(self.name) + len(self.value) > MAX_COOKIE_BYTES:
            raise CookieTooLarge(f"{self.name} has more than {MAX_COOKIE_BYTES} bytes: keep its data in a shared store")
        if not _PATH.fullmatch(self.path) or len(self.path) > MAX_ATTRIBUTE_BYTES:
            raise BadCookie(f"{self.path!r} is no path of a cookie")
        if self.domain and (not _DOMAIN.fullmatch(self.domain) or len(self.domain) > 255):
            raise BadCookie(f"{self.domain!r} is no domain of a cookie")

    def _check_meaning(self) -> None:
        """Raise `BadCookie` for attributes that browsers drop silently (5.7)."""
        if self.max_age_s is not None and not 0 <= self.max_age_s <= _MAX_AGE_BOUND_S:
            raise BadCookie(f"{self.name}: browsers keep a cookie for at most 400 days")
        if self.same_site == "None" and not self.secure:
            raise BadCookie(f"{self.name}: SameSite=None is for Secure cookies only")
        prefix = self.name.lower()  # browsers compare prefixes without case
        if prefix.startswith(("__secure-", "__host-")) and not self.secure:
            raise BadCookie(f"{self.name}: a cookie with this prefix is Secure")
        if prefix.startswith("__host-") and (self.domain or self.path != "/"):
            raise BadCookie(f"{self.name}: a cookie with this prefix has no Domain, and the path /")


def removal(name: str, *, path: str = "/", domain: str = "", secure: bool = False) -> Cookie:
    """Return the cookie that deletes one in a browser; path, domain and prefix must be those it was set with."""
    return Cookie(name, "", max_age_s=0, path=path, domain=domain, secure=secure)


def parse_cookies(headers: Headers) -> Mapping[str, str]:
    """Return the cookies of a request by name; malformed ones are skipped, never refused (RFC 6265bis 5.8).

    Of two with one name the first counts: browsers send the one with the longer path first.
    """
    return read_pairs(headers.all("cookie"))


def read_pairs(values: Iterable[str]) -> Mapping[str, str]:
    """Return the cookies in the values of Cookie fields."""
    cookies: dict[str, str] = {}
    for value in values:
        for pair in value.split(";", MAX_COOKIES)[:MAX_COOKIES]:
            name, equals, text = pair.partition("=")
            name, text = name.strip(" \t"), text.strip(" \t")
            if equals and _NAME.fullmatch(name) and _SENT_VALUE.fullmatch(text) and len(cookies) < MAX_COOKIES:
                cookies.setdefault(name, text)
    return MappingProxyType(cookies)
