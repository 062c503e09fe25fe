"""A decision in plain words: one sentence with the effect, what holds, what is lacking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstchair.definitions.checks import Check, CheckState
from firstchair.definitions.metrics import EVERY_GUARDRAIL
from firstchair.promotion.evidence_record import Metric, RecordedEvaluation, evaluation_of
from firstchair.promotion.kinds import (
    CHALLENGE,
    EXPERIMENT,
    FIRST_CHAMPION,
    LOST_CANARY,
    REFRESH,
    Verb,
)
from firstchair.promotion.ledger import BY_HAND, Entry
from firstchair.promotion.reasons import Reason
from firstchair.promotion.stages import Stage

# Larger changes are shown as "over 999 %".
LARGEST_CHANGE = 9.99
MEASURED: Mapping[str, str] = {
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "Recall@20",
    **{str(one.metric): one.title for one in EVERY_GUARDRAIL},
}
# Each check of the gate: the words if it holds, and if it does not.
CHECKS: Mapping[str, tuple[str, str]] = {
    "data_quality": ("Records are complete in both arms", "Records are not complete"),
    "sample_ratio": ("Users are split as planned", "Users are not split as planned"),
    "left_out": ("Hardly any evidence was left out", "Too much evidence was left out"),
    "outliers": (
        "No account has far more impressions than others",
        "An account counts less than it did",
    ),
    "users": ("Both arms have enough users", "An arm has too few users"),
    "superior": ("Clicks are proven better", "Clicks are not proven better"),
    **{
        f"{one.metric}_not_inferior": (
            f"{one.title}: proven not to suffer",
            f"{one.title}: not proven not to suffer",
        )
        for one in EVERY_GUARDRAIL
    },
    "segment_screen": ("No segment looks worse", "A segment looks worse"),
    "segments_seen": (
        "Harm would be seen in every large segment",
        "Harm would not be seen in some segments",
    ),
    "segments_unharmed": ("No segment is proven worse", "A segment is proven worse"),
    "no_deterioration": ("No metric is proven worse", "A metric is proven worse"),
    "novelty": (
        "The effect lasts over the newest days",
        "The effect is not there in the newest days",
    ),
    "believable": ("The effect is small enough to be true", "The effect is too good to be true"),
    "signs_agree": ("Light and heavy users agree", "Light and heavy users disagree"),
    "duration": ("The stage ran long enough", "The stage has not run long enough"),
    "horizon": ("The stage has time left", "The stage is over"),
    "powered": ("The stage can find the wanted effect", "The stage cannot find the wanted effect"),
    "slow_channel": ("No harm since the promotion", "Worse since the promotion"),
    "fast_channel": ("No harm in the newest days", "Worse in the newest days"),
    "days_left_out": (
        "Days with bad records are left out",
        "Days with bad records are not left out",
    ),
    "same_data": ("Both were measured on the same data", "They were measured on different data"),
    "too_few_users": ("Enough test users", "Too few test users"),
    "leak_alarm": ("No sign of leaked labels", "Better than can be believed: look for a leak"),
    "not_superior": ("NDCG@10 is proven better", "NDCG@10 is not proven better"),
    "recall_margin": (
        "Recall@20 keeps within its margin",
        "Recall@20 may have lost more than its margin",
    ),
    "not_overfit": ("Not overfit", "Overfit"),
    "off_policy": ("Logged slates show no harm", "Logged slates show harm"),
    "better_than_popularity": (
        "Better than plain popularity",
        "Not proven better than plain popularity",
    ),
    "not_inferior": ("NDCG@10 is proven not to suffer", "NDCG@10 is not proven not to suffer"),
    "test_users": ("Enough test users", "Too few test users"),
    "overlap": ("Lists keep enough artists", "Lists change too much"),
    "coverage": ("Lists still show the catalogue", "Lists lost too much of the catalogue"),
    "score_shift": ("Scores are distributed alike", "Scores shifted too much"),
}


# Sentences of each kind of entry, by the first that applies: a decision, a reason code, "in" the
# stage that was under way, "to" the stage that follows, or "" for all others.
TEMPLATES: Mapping[str, Sequence[tuple[str, str]]] = {
    EXPERIMENT: (
        (
            Verb.ROLL_BACK,
            "{treatment} is rolled back on day {days} of {stage}: it is proven worse; {control} "
            "serves again.",
        ),
        (
            Verb.REJECT,
            "{treatment} is rejected on day {days} of {stage}: it is proven worse; {control} "
            "stays champion.",
        ),
        (Verb.PROMOTE, "{treatment} becomes champion on day {days} of {stage}, on probation."),
        (Reason.CONFIRMED, "{treatment} is confirmed as champion after {days} days of probation."),
        (
            Reason.PROBATION_OVER,
            "{treatment} stays champion, unconfirmed after {days} days of probation.",
        ),
        (
            Reason.HORIZON_REACHED,
            "{control} stays champion: {days} days of {stage} did not prove {treatment} better.",
        ),
        (
            Reason.RAMP_CLEAR,
            "{treatment} is shown to more users: no alarm by day {days} of {stage}.",
        ),
        (
            f"in {Stage.PROBATION}",
            "{treatment} stays champion on day {days} of probation: no alarm so far.",
        ),
        ("", "Undecided on day {days} of {stage}: {control} stays champion for now."),
    ),
    CHALLENGE: (
        (
            f"to {Stage.CANARY}",
            "{treatment} passed on test days and goes into canary, the first step with users.",
        ),
        (
            Reason.OFF_POLICY_WORSE,
            "{treatment} is rejected: logged slates prove that it is clicked less.",
        ),
        (Verb.REJECT, "{treatment} is rejected: it is worse on test days."),
        (
            Reason.SHADOW_PASSED,
            "{treatment} passed on test days; another challenger of the day is better.",
        ),
        ("", "{treatment} stays in shadow: test days do not prove it better."),
    ),
    REFRESH: (
        (Verb.PROMOTE, "{treatment}, a refit, takes over from {control}: it is proven no worse."),
        (f"to {Stage.CANARY}", "{treatment}, a refit, passed on test days and goes into canary."),
        (f"to {Stage.REJECTED}", "{treatment}, a refit, is rejected; {control} stays champion."),
        ("", "{treatment}, a refit, is held: it is not proven to be no worse than {control}."),
    ),
    LOST_CANARY: (
        (
            "",
            "The canary of {treatment} is over: it was deleted in MLflow. {control} stays "
            "champion.",
        ),
    ),
    FIRST_CHAMPION: (("", "{treatment} is the first champion: there was none before."),),
    BY_HAND: (
        (
            Verb.ROLL_BACK,
            "{actor} rolled back {treatment} by hand; {control} serves again.",
        ),
        (
            f"to {Stage.RETIRED}",
            "The canary of {treatment} is over by a decision of {actor} about another version.",
        ),
        ("", "{actor} promoted {treatment} by hand; it is on probation."),
    ),
}


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a decision was made.

    sentence: the verdict, with the effect and its interval where they are known. lacks, unknown,
    holds: the checks in plain words: those that fail, those without enough data (with what is
    missing), those that pass. details: the reasons as the ledger has them, with every figure.
    """

    sentence: str
    lacks: tuple[str, ...]
    unknown: tuple[str, ...]
    holds: tuple[str, ...]
    details: tuple[str, ...]


def explained(entry: Entry) -> Explained:
    """An entry of the ledger in plain words."""
    evaluation = evaluation_of(entry)

    def in_state(state: CheckState) -> tuple[str, ...]:
        return tuple(check_words(check) for check in evaluation.checks if check.state is state)

    return Explained(
        sentence=_sentence(entry, evaluation),
        lacks=in_state(CheckState.FAILS),
        unknown=in_state(CheckState.NOT_ENOUGH_DATA),
        holds=in_state(CheckState.PASSES),
        details=entry.reasons,
    )


def check_words(check: Check) -> str:
    """The result of a check in words.

    >>> check_words(Check("novelty", CheckState.FAILS, ""))
    'The effect is not there in the newest days'
    >>> check_words(Check("users", CheckState.NOT_ENOUGH_DATA, "", "users"))
    'Both arms have enough users: not known (missing: users)'
    """
    holds, lacks = CHECKS.get(check.name, (check.name.replace("_", " "),) * 2)
    if check.state is CheckState.NOT_ENOUGH_DATA:
        return f"{holds}: not known (missing: {check.missing})"
    return lacks if check.state is CheckState.FAILS else holds


def effect_words(metric: Metric, treatment: str, control: str) -> str:
    """The effect on a metric with its interval, in words; empty if it is not known."""
    if metric.relative_difference is None:
        return ""
    clicks = metric.name == "clicks_per_100"
    words = ("fewer", "more") if clicks else ("lower", "higher")
    change = f"{_change(metric.relative_difference)} {words[metric.relative_difference >= 0]}"
    measured = MEASURED.get(metric.name, metric.name.replace("_", " ").capitalize())
    text = (
        f"{treatment} gets {change} clicks per 100 impressions than {control}"
        if clicks
        else f"{measured} of {treatment} is {change} than that of {control}"
    )
    if metric.lower is None or metric.upper is None:
        return text
    return f"{text} ({_between(metric.lower, metric.upper, words)})"


def _between(lower: float, upper: float, words: tuple[str, str]) -> str:
    if lower < 0 <= upper:
        return f"between {_change(lower)} {words[0]} and {_change(upper)} {words[1]}"
    near, far = sorted((abs(lower), abs(upper)))
    return f"between {_change(near)} and {_change(far)} {words[lower >= 0]}"


def _change(share: float) -> str:
    if abs(share) > LARGEST_CHANGE:
        return "over 999 %"
    return f"{100 * abs(share):.1f} %"


def _sentence(entry: Entry, evaluation: RecordedEvaluation) -> str:
    kind = str(entry.evidence.get("kind"))
    words = TEMPLATES.get(kind)
    if words is None or evaluation.treatment is None:
        return entry.reasons[0] if entry.reasons else entry.decision.replace("_", " ")
    control = "the version before" if evaluation.control is None else evaluation.control.name
    stage = evaluation.step.stage if evaluation.step else "the stage"
    verdict = _chosen(words, entry, stage).format(
        treatment=evaluation.treatment.name,
        control=control,
        stage=stage,
        days=evaluation.days,
        actor=entry.actor,
    )
    return f"{verdict} {_effect(evaluation)}".strip()


def _chosen(words: Sequence[tuple[str, str]], entry: Entry, stage: str) -> str:
    """The first template that matches the decision, a reason code, or the stage before or after."""
    marks = {entry.decision, *entry.reason_codes, f"in {stage}", f"to {entry.stage_after}", ""}
    return next(text for mark, text in words if mark in marks)


def _effect(evaluation: RecordedEvaluation) -> str:
    if evaluation.treatment is None or not evaluation.metrics:
        return ""
    control = "plain popularity" if evaluation.control is None else evaluation.control.name
    found = effect_words(evaluation.metrics[0], evaluation.treatment.name, control)
    return f"{found}." if found else "The effect is not known yet."
