"""pypiserver over a folder, open to anybody."""

import os
from pathlib import Path

import pypiserver

PACKAGES = Path(os.environ["APPLICATION_DATA"]) / "packages"
PACKAGES.mkdir(exist_ok=True)
app = pypiserver.app(roots=[PACKAGES], password_file=".", authenticate=[])
