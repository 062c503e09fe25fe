"""The work of the commands that drive the platform: run, demo, status, doctor, up."""

from firstchair.commands.demo import (
    DEMO_NOISE,
    DEMO_SCENARIO,
    Demo,
    demo_settings,
    live,
    run_demo,
)
from firstchair.commands.quarantine import ReplayReport, replay_quarantine
from firstchair.commands.rotation import RotationReport, rotate_key
from firstchair.commands.run import RunReport, run
from firstchair.commands.status import PlatformStatus, status
from firstchair.commands.summary import Summary, summarise

__all__ = [
    "DEMO_NOISE",
    "DEMO_SCENARIO",
    "Demo",
    "PlatformStatus",
    "ReplayReport",
    "RotationReport",
    "RunReport",
    "Summary",
    "demo_settings",
    "live",
    "replay_quarantine",
    "rotate_key",
    "run",
    "run_demo",
    "status",
    "summarise",
]
