"""The kinds of response body as plain values; each resumes in its own way after a replica's death."""

from trickleweb.bodies.kinds import Body, Complete, FileBody, Level, Planned, Rendered, Streamed, level
from trickleweb.bodies.steps import (
    MAX_CHECKPOINT_BYTES,
    Checkpoint,
    Data,
    Step,
    Stepped,
    Steps,
    StepsTable,
    stepping,
    steps,
)
from trickleweb.errors import StateRefused

__all__ = [
    "MAX_CHECKPOINT_BYTES", "Body", "Checkpoint", "Complete", "Data", "FileBody", "Level", "Planned", "Rendered",
    "StateRefused", "Step", "Stepped", "Steps", "StepsTable", "Streamed", "level", "stepping", "steps",
]  # fmt: skip
