"""`App`: routes, middleware, error handlers, folders, templates and steps in one object that any server can serve."""

from trickleweb.app.app import App
from trickleweb.app.folders import NoSuchFolder
from trickleweb.app.keys import key_directory
from trickleweb.app.pool import PoolLimits
from trickleweb.app.routes import BadHandler, Folder, Routes
from trickleweb.app.steps import UnknownSteps
from trickleweb.app.wizards import WizardForm

__all__ = [
    "App", "BadHandler", "Folder", "NoSuchFolder", "PoolLimits", "Routes", "UnknownSteps", "WizardForm",
    "key_directory",
]  # fmt: skip
