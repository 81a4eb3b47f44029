"""Sessions in a sealed cookie: the newest key seals, older ones open, and each expires."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.keyring import Keyring
from trickleweb.cookies import MAX_COOKIE_BYTES, Cookie, SameSite, removal
from trickleweb.plain import StateTooLarge, dump_plain, load_plain
from trickleweb.sealing import BadSeal, seal, sealed_chars, unseal
from trickleweb.sessions.session import Session

DAY = 24 * 3600 * 1_000_000
_SECOND = 1_000_000


class SessionTooLarge(StateTooLarge):
    """A session too large for a cookie: keep its data in a shared store, and only the key in the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """Policy of sessions. Times are microseconds."""

    cookie: str = "session"  # with the prefix __Host- and `secure` where all of the site is https
    ttl: int = 14 * DAY  # without a visit; renewed after half of it
    max_life: int = 90 * DAY  # with any number of visits
    path: str = "/"
    domain: str = ""
    secure: bool | None = None  # None: for requests over https
    same_site: SameSite = "Lax"

    @property
    def purpose(self) -> str:
        """The cookie's seal purpose: one cookie never opens as another."""
        return f"session {self.cookie}"


def open_session(ring: Keyring, policy: SessionPolicy, sealed: str, *, now: int) -> Session:
    """Return the session in a cookie's value; raise `BadSeal` for one forged, expired, another's or of another
    release.
    """
    unsealed = unseal(ring, policy.purpose, sealed, now=now)
    try:
        fields = load_plain(unsealed.data)
        return Session(fields, began=fields["b"], expires=unsealed.expires)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadSeal from None


def session_cookie(
    ring: Keyring, policy: SessionPolicy, session: Session, *, now: int, entropy: bytes, had: bool, https: bool
) -> Cookie | None:
    """Return the cookie to set after a request, None if the client's is still good; `had` means that it sent one.

    Raise `SessionTooLarge` if the session does not fit.
    """
    secure = https if policy.secure is None else policy.secure
    if not session.fields():
        return removal(policy.cookie, path=policy.path, domain=policy.domain, secure=secure) if had else None
    began = now if session.began is None else session.began
    ttl = min(policy.ttl, began + policy.max_life - now)
    if not session.changed and not _is_due(session, policy, now, ttl):
        return None
    data = dump_plain({"b": began, **session.fields()})
    spare = MAX_COOKIE_BYTES - len(policy.cookie) - sealed_chars(len(data))
    if spare < 0:
        raise SessionTooLarge(
            f"the session does not fit its cookie by {-spare} bytes: keep its data in a shared store, and its key here"
        )
    return Cookie(
        policy.cookie,
        seal(ring, policy.purpose, data, ttl=max(ttl, 1), now=now, entropy=entropy),
        max_age_s=max(ttl // _SECOND, 0),
        path=policy.path,
        domain=policy.domain,
        secure=secure,
        same_site=policy.same_site,
    )


def _is_due(session: Session, policy: SessionPolicy, now: int, ttl: int) -> bool:
    """Return whether an unchanged session is worth sealing again: half its time is over, and it can be extended."""
    return session.expires - now < policy.ttl // 2 and now + ttl > session.expires
