"""The reason codes of decisions; docs/gate.md says when each is given."""

from enum import StrEnum

from firstchair.definitions.metrics import EVERY_GUARDRAIL, HARMED


class Reason(StrEnum):
    """Why a decision was made. A code never changes, since old entries hold it."""

    # On test days and logged slates.
    DIFFERENT_FINGERPRINT = "different_fingerprint"
    WORSE = "worse"
    OFF_POLICY_WORSE = "off_policy_worse"
    TOO_FEW_USERS = "too_few_users"
    LEAK_ALARM = "leak_alarm"
    NOT_SUPERIOR = "not_superior"
    RECALL_MARGIN = "recall_margin"
    OVERFIT = "overfit"
    OFFLINE_EVIDENCE_ONLY = "offline_evidence_only"
    SHADOW_PASSED = "shadow_passed"
    SUPERIOR = "superior"
    FIRST_CHAMPION = "first_champion"
    NOT_PROVEN_AGAINST_POPULARITY = "not_proven_against_popularity"
    REFRESHED_CHAMPION = "refreshed_champion"
    REFRESH_WORSE = "refresh_worse"
    REFRESH_NOT_PROVEN = "refresh_not_proven"
    REFRESH_OVERLAP = "refresh_overlap"
    REFRESH_COVERAGE = "refresh_coverage"
    REFRESH_SCORE_SHIFT = "refresh_score_shift"
    REFRESH_CANARY = "refresh_canary"

    # On users, at any evaluation.
    DATA_QUALITY = "data_quality"
    EVIDENCE_LEFT_OUT = "evidence_left_out"
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"
    SINGLE_ARM = "single_arm"
    SEGMENT_DETERIORATED = "segment_deteriorated"

    # On users, in a ramp step.
    RAMP_RUNNING = "ramp_running"
    RAMP_CLEAR = "ramp_clear"
    UNDERPOWERED = "underpowered"

    # On users, in the stage that decides.
    TOO_EARLY = "too_early"
    SEGMENT_SCREEN = "segment_screen"
    SEGMENT_BLIND = "segment_blind"
    NOVELTY = "novelty"
    TOO_GOOD_TO_BE_TRUE = "too_good_to_be_true"
    SIGNS_DISAGREE = "signs_disagree"
    GUARDRAILS_HOLD = "guardrails_hold"
    SHORTENED_STAGE = "shortened_stage"
    HORIZON_REACHED = "horizon_reached"

    # On users, in probation.
    IN_PROBATION = "in_probation"
    CONFIRMED = "confirmed"
    PROBATION_OVER = "probation_over"
    WORSE_SINCE_PROMOTION = "worse_since_promotion"
    WORSE_LATELY = "worse_lately"

    # By a person.
    BY_HAND = "by_hand"
    ALIAS_MOVED = "alias_moved"
    KEY_ROTATED = "key_rotated"
    VERSION_DELETED = "version_deleted"
    USER_FORGOTTEN = "user_forgotten"

    # Of each metric, as `Metric` has it: members made from a list, as the documentation of
    # `enum.Enum._ignore_` shows.
    _ignore_ = "members metric guardrail"
    members = vars()
    for metric in HARMED:
        members[f"{metric.name}_DETERIORATED"] = f"{metric}_deteriorated"
    for guardrail in EVERY_GUARDRAIL:
        members[f"{guardrail.metric.name}_NOT_PROVEN"] = f"{guardrail.metric}_not_proven"
