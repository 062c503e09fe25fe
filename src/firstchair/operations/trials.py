"""The gate's constants out of the platform's settings."""

from firstchair.promotion.trial import TrialRules
from firstchair.settings import Settings


def trial_rules(settings: Settings) -> TrialRules:
    """What the gate asks of live evidence; all that no setting names is as specified."""
    return TrialRules(
        min_days=settings.stage_min_days,
        max_days=settings.stage_max_days,
        success_days=settings.stage_success_days,
        harm_days=settings.stage_harm_days,
        segment_days=settings.stage_segment_days,
        success_users=settings.stage_success_users,
        harm_users=settings.stage_harm_users,
        ramp_days=settings.ramp_days,
        ramp_days_small=settings.ramp_days_small,
        listen_margin=settings.listen_margin,
        active_margin=settings.active_margin,
        probation_min_days=settings.probation_min_days,
        probation_max_days=settings.probation_max_days,
        blind_needs_person=settings.blind_needs_person,
        wanted_effect=settings.wanted_effect,
        late_tolerance_days=settings.late_tolerance_days,
    )
