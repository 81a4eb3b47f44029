"""Peer: Starlette's StaticFiles over the directory named by the environment variable BENCH_ROOT."""

import os

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

app = Starlette(routes=[Mount("/", StaticFiles(directory=os.environ["BENCH_ROOT"], html=True))])
