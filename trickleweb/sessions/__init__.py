"""Sessions without server state, sealed into a cookie so that any replica opens them."""

from trickleweb.sessions.csrf import csrf_matches, csrf_token
from trickleweb.sessions.session import Flash, Session
from trickleweb.sessions.storing import SessionPolicy, SessionTooLarge, open_session, session_cookie

__all__ = [
    "Flash", "Session", "SessionPolicy", "SessionTooLarge", "csrf_matches", "csrf_token", "open_session",
    "session_cookie",
]  # fmt: skip
