"""What the commands do beyond one room: open the platform, run it, show it, keep it up."""

from firstchair.operations.demo import DEMO_NOISE, DEMO_SCENARIO, Demo, demo_settings, live, run_demo
from firstchair.operations.platform import Platform, open_platform
from firstchair.operations.run import RunReport, run
from firstchair.operations.status import PlatformStatus, status
from firstchair.operations.summary import Summary, summarise

__all__ = [
    "DEMO_NOISE",
    "DEMO_SCENARIO",
    "Demo",
    "Platform",
    "PlatformStatus",
    "RunReport",
    "Summary",
    "demo_settings",
    "live",
    "open_platform",
    "run",
    "run_demo",
    "status",
    "summarise",
]
