"""Telemetry of replicas: access logs, errors, metrics, health; and clients' addresses through proxies."""

from trickleweb.telemetry.accesslog import FORMATS, AccessLog
from trickleweb.telemetry.admin import AdminServer
from trickleweb.telemetry.errorlog import ErrorHandler, ErrorLog
from trickleweb.telemetry.forwarded import Forwarded, Trusted, trusted
from trickleweb.telemetry.logfile import LogFile
from trickleweb.telemetry.metrics import Meter, exposition
from trickleweb.telemetry.wrapped import Named

__all__ = [
    "FORMATS", "AccessLog", "AdminServer", "ErrorHandler", "ErrorLog", "Forwarded", "LogFile", "Meter", "Named",
    "Trusted", "exposition", "trusted",
]  # fmt: skip
