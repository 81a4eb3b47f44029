"""WSGI programs (Flask, Django, Bottle ...) on replicas, unmodified."""

from trickleweb.wsgi.application import WsgiApplication

__all__ = ["WsgiApplication"]
