"""Write Radicale's configuration: any user, calendars in the folder of its data."""

import os
from pathlib import Path

DATA = Path(os.environ["APPLICATION_DATA"])
CONFIG = """[auth]
type = none
[storage]
filesystem_folder = {}
[logging]
level = warning
"""

if __name__ == "__main__":
    (DATA / "config").write_text(CONFIG.format(DATA / "collections"))
