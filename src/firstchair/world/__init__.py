"""A simulated music service with planted truth: it writes the two sources, and judges nobody."""

from firstchair.world.accounts import replace_accounts
from firstchair.world.delivery import Store, deliver_day
from firstchair.world.simulate import SCENARIOS, WorldReport, simulate

__all__ = ["SCENARIOS", "Store", "WorldReport", "deliver_day", "replace_accounts", "simulate"]
