"""The program for ASGI and for WSGI servers."""

import os

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.applications.programs.django_site.settings")
asgi = get_asgi_application()
wsgi = get_wsgi_application()
