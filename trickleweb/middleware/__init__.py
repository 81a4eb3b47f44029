"""Middleware as plain functions: each makes a handler of a handler."""

from trickleweb.middleware.auth import basic_auth, bearer_auth, same_secret
from trickleweb.middleware.compression import compression
from trickleweb.middleware.cors import CorsPolicy, cors
from trickleweb.middleware.hosts import trusted_hosts
from trickleweb.middleware.observing import request_ids, timing
from trickleweb.middleware.security import security_headers
from trickleweb.middleware.sessions import csrf_protection, sessions

__all__ = [
    "CorsPolicy", "basic_auth", "bearer_auth", "compression", "cors", "csrf_protection", "request_ids",
    "same_secret", "security_headers", "sessions", "timing", "trusted_hosts",
]  # fmt: skip
