"""The gate before worlds whose truth is known: how often it decides rightly."""

from firstchair.promotion.audition.audition import AuditionReport, ScenarioResult, audition
from firstchair.promotion.audition.panel import Effect, Panel, simulate_panel
from firstchair.promotion.audition.scenarios import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "AuditionReport", "Effect", "Panel", "Scenario", "ScenarioResult", "audition", "simulate_panel"]
