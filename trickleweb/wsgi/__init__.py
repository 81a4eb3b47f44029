"""Programs for WSGI (Flask, Django, Bottle ...), as they are, on replicas."""

from trickleweb.wsgi.application import WsgiApplication

__all__ = ["WsgiApplication"]
