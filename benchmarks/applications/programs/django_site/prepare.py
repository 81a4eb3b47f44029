"""Make the tables, a superuser and the static files, as `manage.py` does."""

import os

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.applications.programs.django_site.settings")
django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
os.environ["DJANGO_SUPERUSER_PASSWORD"] = "secret"
call_command("createsuperuser", interactive=False, username="admin", email="admin@example.org", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
