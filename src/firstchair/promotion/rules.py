"""Every constant that decides a promotion, a refresh or a rollback, in one frozen object.

`GateRules` is built once from the settings and recorded in every entry of the ledger, from which it
is restored unchanged, so that a decision can be recomputed by its own rules. docs/gate.md
lists every rule with its default. Shares, margins and effects are relative (0.02 is 2 %), days are
whole. The range of a field is that of its type.

The sources that the fields cite:
Waudby-Smith et al. 2024, "Time-uniform central limit theory and asymptotic confidence sequences";
Deng et al. 2013, "Improving the sensitivity of online controlled experiments" (CUPED);
Holm 1979, "A simple sequentially rejective multiple test procedure";
Lindon and Malek 2022, "Anytime-valid inference for multinomial count data";
Kohavi, Tang and Xu 2020, "Trustworthy online controlled experiments", section 1.3 (Twyman's law).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from firstchair.definitions.bounds import MOST_AVERAGES
from firstchair.definitions.families import CONTENDERS, Family, families_in, listing
from firstchair.definitions.metrics import EXPOSURE, GUARDRAILS, Guardrail
from firstchair.errors import LedgerError, SettingsError
from firstchair.evaluation.off_policy import Assumptions
from firstchair.settings import Settings

CHECKED = ConfigDict(
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)

AtLeastOne = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
# A variance needs two.
Users = Annotated[int, Field(ge=2)]
Level = Annotated[float, Field(gt=0, lt=0.5)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareAbove0 = Annotated[float, Field(gt=0, le=1)]
ShareBelow1 = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Above0 = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)
class OfflineRules:
    """Rules for evidence of test days and logged slates, before a version is shown to users.

    Raises:
        ValueError: A value is out of its range; the text names the field and the range.
    """

    contenders: Annotated[str, AfterValidator(lambda names: listing(families_in(names)))] = listing(
        CONTENDERS
    )
    """Families that may challenge; the first one serves first where none is proven better."""
    first_champion: str = ""
    """The contender that serves first; empty: the best of them on test days."""
    min_test_users: AtLeastOne = 2_000
    """Test users; with fewer nothing is proven."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 1_000
    """Resamples of the paired bootstrap."""
    alpha: Level = 0.05
    """Two-sided error of the bootstrap's intervals, in equal parts for a day's challengers."""
    seed: NotNegative = 0
    """Seed of the resamples; from the setting `seed`."""
    recall_margin: Share = 0.02
    """Share by which recall@20 may be lower."""
    leak_alarm: Above0 = 0.5
    """Share by which NDCG@10 may be better before a person has to look for a leak."""
    overfit_margin: Share = 0.10
    """Largest loss from training to test days beyond the champion's, as a share."""
    overfit_alpha: Level = 0.10
    """Two-sided error of that difference's interval."""
    veto_days: AtLeastOne = 14
    """Newest days whose slates the veto reads."""
    veto_slate_length: Annotated[int, Field(ge=2, le=500)] = 10
    """Artists of a slate that the veto reads; others do not count."""
    veto_alpha: Level = 0.05
    """Two-sided error of the veto's interval."""
    veto_prior_looks: Above0 = 50.0
    """Examinations at an average click rate by which each artist's rate is shrunk."""
    veto_prior_power: Above0 = 1.0
    """Prior power with which examination falls from slot to slot."""
    veto_prior_decay: Above0 = 0.3
    """Prior rate at which it also falls exponentially."""
    veto_groups: Annotated[int, Field(ge=2)] = 20
    """Groups of users of the veto's jackknife."""
    veto_samples: Above0 = 1_000.0
    """Least effective samples of an estimate with support."""
    veto_support: ShareAbove0 = 0.99
    """Least share of the lists' examinations that the log covers."""
    veto_share: ShareAbove0 = 0.05
    """Largest share of one weight in the sum of all weights."""
    refresh_margin: ShareBelow1 = 0.05
    """Share by which NDCG@10 of a refit may be worse (non-inferiority)."""
    refresh_alpha: Level = 0.05
    """One-sided error of that non-inferiority."""
    refresh_min_overlap: Share = 0.5
    """Least mean share of the top 10 that both versions have in common."""
    refresh_max_coverage_loss: Share = 0.5
    """Largest share of the catalogue coverage that may be lost."""
    refresh_max_score_shift: Above0 = 0.25
    """Largest population stability index of the scores; above 0.25 is a major shift."""
    refresh_max_test_days: AtLeastOne = 7
    """Most days after a refit on which it is tested."""
    refresh_needs_canary: bool = False
    """Whether a refit goes through canary like any other challenger."""

    @property
    def contending_families(self) -> tuple[Family, ...]:
        """Families that may challenge, in the order of the rule."""
        return families_in(self.contenders)

    @property
    def first_families(self) -> tuple[Family, ...]:
        """Families that may serve first; the first of them where none is proven better."""
        return families_in(self.first_champion or self.contenders)

    def challenging(self, serving: str) -> tuple[Family, ...]:
        """Families that are compared with a champion of this family."""
        return tuple(family for family in self.contending_families if family != serving)

    def assumptions(self) -> Assumptions:
        """The assumptions of the veto's estimator."""
        return Assumptions(
            alpha=self.veto_alpha,
            prior_examinations=self.veto_prior_looks,
            power=self.veto_prior_power,
            decay=self.veto_prior_decay,
            groups=self.veto_groups,
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)
class LiveRules:
    """Rules for evidence of users, from the first step of a canary to the end of probation.

    Raises:
        ValueError: A value is out of its range; the text names the field and the range.
    """

    min_days: AtLeastOne = 21
    """Days; shortest decision stage."""
    max_days: AtLeastOne = 35
    """Days; longest decision stage."""
    alpha: Level = 0.05
    """One-sided error of a guardrail, or of harm to clicks, over all evaluations together."""
    success_alpha: Level = 0.01
    """One-sided error of the success metric over all evaluations that decide."""
    unweighted_z: Above0 = 1.0
    """Standard errors by which clicks without weights are above zero at a promotion."""
    harm_alpha: Level = 0.01
    """One-sided error of harm to guardrails and pooled CTR, and to churn, over all evaluations."""
    success_days: AtLeastOne = 7
    """Days of data before a success is tested."""
    power: Fraction = 0.8
    """Chance with which a detectable effect is detected."""
    wanted_effect: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Effect on clicks that a decision stage must be able to detect; none: no condition."""
    decision_share: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    """Share of users who see the challenger in the decision stage."""
    harm_days: AtLeastOne = 3
    """Days of data before harm is tested."""
    segment_days: AtLeastOne = 7
    """Days of data before harm to a segment is tested."""
    success_users: Users = 1_000
    """Least users of an arm for a promotion."""
    harm_users: Users = 500
    """Least users of an arm for a test of harm."""
    ramp_days: AtLeastOne = 3
    """Days of a ramp step."""
    ramp_days_small: AtLeastOne = 7
    """Days of a ramp step in a small population."""
    small_population: NotNegative = 50_000
    """Users; fewer are a small population."""
    listen_margin: Fraction = 0.02
    """Share by which listen-through may be worse."""
    active_margin: Fraction = 0.02
    """Share by which active days may be fewer."""
    exposure_margin: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Share by which the exposure of small artists may be lower; none: it is not asked."""
    sample_ratio_e: Annotated[float, Field(gt=1)] = 100.0
    """E-value at which the arms count as assigned wrongly (Lindon and Malek)."""
    segment_users: Users = 300
    """Least users of an arm in a segment."""
    segment_alpha: Level = 0.02
    """One-sided error of harm over all segments (Holm)."""
    screen_harm: ShareAbove0 = 0.08
    """Harm to a segment that a promotion has to exclude."""
    screen_separation: Above0 = 3.8
    """Standard errors between that harm and the others' effect needed to exclude it."""
    contrast_alpha: Level = 0.01
    """One-sided error with which a segment is worse than all others at an evaluation (Holm)."""
    blind_share: ShareAbove0 = 0.05
    """Share of users from which a segment matters."""
    blind_needs_person: bool = False
    """Whether a blind segment that matters holds the promotion."""
    novelty_days: AtLeastOne = 7
    """Newest days in which the effect must last."""
    novelty_margin: ShareAbove0 = 0.02
    """Share by which the one-sided bound of those days may be below zero."""
    novelty_z: Above0 = 1.282
    """Standard errors of its one-sided bound."""
    fall_z: Above0 = 1.645
    """Standard errors by which the effect fell from the first `novelty_days` to the newest."""
    fallen_z: Above0 = 2.33
    """Standard errors by which an effect that fell must still be above zero."""
    twyman_limit: Above0 = 0.30
    """An effect whose lower bound is larger waits for a person (Twyman)."""
    twyman_z: Above0 = 2.33
    """Standard errors of its one-sided bound."""
    signs_alpha: Level = 0.05
    """Two-sided error of one of two effects whose signs contradict each other."""
    signs_z: Above0 = 0.84
    """Standard errors from zero that the other effect needs for a contradiction."""
    left_out_share: Share = 0.01
    """Share of an arm's rows or users that may be left out; over it, decisions are held."""
    user_weight: Annotated[float, Field(gt=1)] = MOST_AVERAGES
    """Largest weight of a user in a ratio of sums, in mean users."""
    data_days: NotNegative = 3
    """Newest days that may still lack impressions."""
    data_change: Above0 = 0.15
    """Relative change of the arms' ratio of impressions that shows lost data."""
    data_z: Above0 = 3.5
    """Standard errors of that change, at least."""
    late_tolerance_days: NotNegative = 3
    """Days beyond its horizon until a churn label is final."""
    probation_min_days: AtLeastOne = 28
    """Days; shortest probation."""
    probation_max_days: AtLeastOne = 42
    """Days; longest probation."""
    probation_alpha: Level = 0.025
    """One-sided error of each channel of probation."""
    window_days: AtLeastOne = 3
    """Newest days of the fast channel."""
    looks: AtLeastOne = 30
    """Evaluations over which the fast channel spends its error."""
    planned_cv: Above0 = 1.0
    """Coefficient of variation if the days before give none."""
    planned_r2: ShareBelow1 = 0.35
    """Share of variance that the covariate is planned to explain (CUPED)."""
    planned_churn: Fraction = 0.12
    """Share of users planned to be lost within a horizon."""
    least_cv: Above0 = 0.01
    """A smaller coefficient of variation counts as not known."""
    prior_impressions: Above0 = 15.0
    """Impressions at the mean rate by which a user's click rate before the stage is shrunk."""
    prior_impressions_more: Above0 = 60.0
    """The same for a second covariate, which is shrunk more."""
    usual_even_impressions: Above0 = 50.0
    """Impressions over which chance varies a click rate as much as users do, where unknown."""
    prior_plays: Above0 = 3.0
    """Plays at the mean share heard by which a user's share before the stage is shrunk."""
    usual_track_ms: Above0 = 200_000.0
    """Milliseconds of such a play."""
    fact_share: ShareAbove0 = 0.05
    """Share of users from which a segment value is a covariate."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for least, most in (
            ("min_days", "max_days"),
            ("probation_min_days", "probation_max_days"),
        ):
            low, high = getattr(self, least), getattr(self, most)
            if low > high:
                raise ValueError(f"{least} {low:g} exceeds {most} {high:g}")
        return self

    @property
    def guardrails(self) -> tuple[Guardrail, ...]:
        """The guardrails that are asked of a promotion, where the evidence has their sums."""
        return GUARDRAILS if self.exposure_margin is None else (*GUARDRAILS, EXPOSURE)

    @property
    def most_evidence_days(self) -> int:
        """Most days of a file of one stage: twice the longest, because bad days lengthen it."""
        return 2 * max(self.max_days, self.probation_max_days)

    def shortened(self) -> tuple[str, ...]:
        """Rules that are shorter, smaller or wider than the defaults, in words."""
        usual = LiveRules()
        counts = (
            "min_days", "success_days", "harm_days", "segment_days", "ramp_days", "ramp_days_small",
            "success_users", "harm_users", "probation_min_days",
        )  # fmt: skip
        texts = [
            f"{name} {getattr(self, name)} instead of {getattr(usual, name)}"
            for name in counts
            if getattr(self, name) < getattr(usual, name)
        ]
        texts += [
            f"{name} {percent(getattr(self, name))} instead of {percent(getattr(usual, name))}"
            for name in (one.margin for one in GUARDRAILS)
            if getattr(self, name) > getattr(usual, name)
        ]
        return tuple(texts)


@dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)
class GateRules:
    """All rules of the gate: `offline` for test days and logged slates, `live` for users."""

    offline: OfflineRules = OfflineRules()
    live: LiveRules = LiveRules()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules of the settings; rules without a setting have their default.

        Raises:
            SettingsError: Settings do not fit together or are out of a rule's range.
        """
        try:
            return cls(offline=_offline(settings), live=_live(settings))
        except ValidationError as error:
            raise SettingsError(
                f"The settings give no rules of the gate: {_faults(error)}.",
                where="FIRSTCHAIR_* or firstchair.toml",
                data="Nothing was decided.",
                remedy="Correct the setting that docs/gate.md names for the rule.",
            ) from error

    def record(self) -> dict[str, Any]:
        """The rules by part and name, as plain JSON values, for the ledger."""
        return {"offline": asdict(self.offline), "live": asdict(self.live)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The rules that a ledger entry was decided by: the inverse of `record`.

        Args:
            record: `evidence["settings"]` of an entry.

        Raises:
            LedgerError: A rule is missing, unknown or out of its range; the text names it.
        """
        faults = list(_misnamed(record))
        if faults:
            raise _unreadable("; ".join(faults))
        try:
            return cls(offline=OfflineRules(**record["offline"]), live=LiveRules(**record["live"]))
        except ValidationError as error:
            raise _unreadable(_faults(error)) from error


PARTS = {"offline": OfflineRules, "live": LiveRules}


def percent(share: float) -> str:
    """A share in percent, without decimals that say nothing.

    >>> percent(0.05), percent(0.125)
    ('5%', '12.5%')
    """
    return f"{100 * share:.4g}%"


def _offline(settings: Settings) -> OfflineRules:
    return OfflineRules(
        contenders=settings.contenders,
        first_champion=settings.first_champion,
        min_test_users=settings.min_test_users,
        bootstrap_samples=settings.bootstrap_samples,
        alpha=settings.alpha,
        seed=settings.seed,
        leak_alarm=settings.leak_alarm,
        refresh_margin=settings.refresh_margin,
        refresh_min_overlap=settings.refresh_min_overlap,
        refresh_max_coverage_loss=settings.refresh_max_coverage_loss,
        refresh_max_score_shift=settings.refresh_max_score_shift,
        refresh_max_test_days=settings.refresh_max_test_days,
        refresh_needs_canary=settings.refresh_needs_canary,
    )


def _live(settings: Settings) -> LiveRules:
    return LiveRules(
        min_days=settings.stage_min_days,
        max_days=settings.stage_max_days,
        wanted_effect=settings.wanted_effect,
        decision_share=settings.canary_share,
        success_days=settings.stage_success_days,
        harm_days=settings.stage_harm_days,
        segment_days=settings.stage_segment_days,
        success_users=settings.stage_success_users,
        harm_users=settings.stage_harm_users,
        ramp_days=settings.ramp_days,
        ramp_days_small=settings.ramp_days_small,
        listen_margin=settings.listen_margin,
        active_margin=settings.active_margin,
        exposure_margin=settings.exposure_margin,
        blind_needs_person=settings.blind_needs_person,
        late_tolerance_days=settings.late_tolerance_days,
        probation_min_days=settings.probation_min_days,
        probation_max_days=settings.probation_max_days,
        looks=_looks(settings),
    )


def _looks(settings: Settings) -> int:
    """Evaluations over which the fast channel of probation spends its error.

    Those of the specification up to its longest probation; all of a longer one.
    """
    usual = LiveRules()
    most = settings.probation_max_days - settings.stage_harm_days + 1
    return most if most > usual.probation_max_days - usual.harm_days + 1 else usual.looks


def _misnamed(record: Mapping[str, Any]) -> Iterator[str]:
    """Rules that a record lacks, and names in it that are not rules."""
    for part, rules in PARTS.items():
        kept = record.get(part)
        known = {field.name for field in fields(rules)}
        found = set(kept) if isinstance(kept, Mapping) else set()
        if missing := sorted(known - found):
            yield f"missing in {part}: {', '.join(missing)}"
        if unknown := sorted(found - known):
            yield f"unknown in {part}: {', '.join(unknown)}"
    if parts := sorted(set(record) - set(PARTS)):
        yield f"unknown parts: {', '.join(parts)}"


def _faults(error: ValidationError) -> str:
    """Each field that is out of its range, with the range and what was found."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']} (found {fault['input']!r})"
        if fault["loc"]
        else fault["msg"]
        for fault in error.errors(include_url=False)
    )


def _unreadable(what: str) -> LedgerError:
    return LedgerError(
        f"The recorded rules are not those of this version: {what}.",
        where='evidence["settings"] of a ledger entry',
        data="Nothing was recomputed and nothing was written.",
        remedy="Use the version of firstchair that the entry names as its code_version.",
    )
