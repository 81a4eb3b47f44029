"""WsgiDAV over a folder, open to anybody."""

import os
from pathlib import Path

from wsgidav.wsgidav_app import WsgiDAVApp

SHARED = Path(os.environ["APPLICATION_DATA"]) / "shared"
SHARED.mkdir(exist_ok=True)
app = WsgiDAVApp(
    {
        "provider_mapping": {"/": str(SHARED)},
        "simple_dc": {"user_mapping": {"*": True}},
        "verbose": 1,
    }
)
