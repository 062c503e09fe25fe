"""Acceptance test of the gate: how often it decides correctly in worlds with known truth."""

from firstchair.promotion.audition.audition import AuditionReport, ScenarioResult, audition
from firstchair.promotion.audition.behaviour import World
from firstchair.promotion.audition.effects import Effect
from firstchair.promotion.audition.panel import Panel, simulate_panel
from firstchair.promotion.audition.scenarios import SCENARIOS, Scenario
from firstchair.promotion.audition.worlds import WORLDS

__all__ = [
    "SCENARIOS",
    "WORLDS",
    "AuditionReport",
    "Effect",
    "Panel",
    "Scenario",
    "ScenarioResult",
    "World",
    "audition",
    "simulate_panel",
]
