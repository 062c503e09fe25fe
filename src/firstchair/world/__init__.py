"""A simulated music service with planted truth: it writes the two sources."""

from firstchair.world.accounts import replace_accounts
from firstchair.world.delivery import Store, deliver_day
from firstchair.world.records import artist_id, artist_number, track_id, user_id
from firstchair.world.scenarios import SCENARIOS, Scenario
from firstchair.world.service import SLATE, Service, Signals, Slates
from firstchair.world.simulate import World, WorldReport, WorldSpec, simulate

__all__ = [
    "SCENARIOS",
    "SLATE",
    "Scenario",
    "Service",
    "Signals",
    "Slates",
    "Store",
    "World",
    "WorldReport",
    "WorldSpec",
    "artist_id",
    "artist_number",
    "deliver_day",
    "replace_accounts",
    "simulate",
    "track_id",
    "user_id",
]
