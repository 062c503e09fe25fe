"""What the gate's commands draw for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from firstchair.cli.output import table

# Named in annotations alone: `--help` waits for none of what stands behind them.
if TYPE_CHECKING:
    from firstchair.definitions.checks import Check
    from firstchair.promotion import Entry, LiveRules, Replayed
    from firstchair.promotion.audition import AuditionReport, ScenarioResult
    from firstchair.promotion.audition.audition import Limit
    from firstchair.promotion.experiment import ExperimentDecision, MetricFinding

Screen = Sequence[RenderableType]
VERDICTS = {
    "promote": ("The challenger becomes champion", "green"),
    "hold": ("The champion stays for now", "yellow"),
    "reject": ("The challenger is rejected", "red"),
    "roll_back": ("The champion is rolled back", "red"),
}
# Roles of control and treatment; in probation the treatment is the champion. An evidence file knows
# arms, and no versions.
ARMS = ("control (champion)", "treatment (challenger)")
PROBATION_ARMS = ("control (champion before)", "treatment (champion on probation)")


def decision(d: ExperimentDecision, rules: LiveRules) -> Screen:
    """The verdict in a sentence, the evidence as tables, what would change it."""
    from firstchair.promotion import condition_checks, metric_checks

    record = asdict(d) | {"settings": {"live": {"harm_users": rules.harm_users}}}
    words, colour = VERDICTS[d.decision]
    sentence = (
        f"{words} on day {d.days} of {d.stage} ({d.day}): "
        f"{', '.join(d.reason_codes).replace('_', ' ')}."
    )
    effect = d.minimum_detectable_effect
    found = "unknown yet" if effect is None else f"{effect:.1%}"
    parts: list[RenderableType] = [
        Text(sentence, style=f"bold {colour}"),
        Text(_effect_words(d)),
        table(
            f"Evidence; bounds hold at all looks together, each with {100 * (1 - rules.alpha):g}%",
            (
                "metric",
                "role",
                *(PROBATION_ARMS if d.stage == "probation" else ARMS),
                "effect",
                "from",
                "to",
                "error",
                "ln e",
                "margin",
                "state",
            ),
            [_metric(m, check) for m, check in zip(d.metrics, metric_checks(record), strict=True)],
        ),
        Text(
            f"Smallest effect found by now with a power of {100 * rules.power:g}%: {found}.",
        ),
        table(
            "Checks",
            ("check", "state", "missing", "figures"),
            [(c.name, c.state.words, c.missing, c.detail) for c in condition_checks(record)],
        ),
    ]
    if d.segments:
        rows = [
            (s.segment, s.value, f"{s.relative_difference:+.1%}", f"{s.se:.1%}", s.p,
             s.deteriorated, f"{s.minimum_detectable_effect:.1%}")
            for s in d.segments
        ]  # fmt: skip
        heads = ("segment", "value", "effect", "error", "p of harm", "harmed", "detectable")
        parts.append(table("Clicks by segment", heads, rows))
    parts.append(Panel("\n".join(d.reasons), title="figures", title_align="left"))
    if d.outlook:
        parts.append(Panel("\n".join(d.outlook), title="what would change it", title_align="left"))
    return parts


def _effect_words(d: ExperimentDecision) -> str:
    """The effect on clicks and its interval."""
    from firstchair.promotion.evidence_record import Metric
    from firstchair.promotion.plain_words import effect_words

    clicks = Metric.of(asdict(d.metrics[0]))
    found = effect_words(clicks, "The treatment", "the control")
    return f"{found}." if found else "No effect can be told yet."


def _metric(m: MetricFinding, check: Check) -> tuple[object, ...]:
    shares = [None if v is None else f"{v:+.2%}" for v in (m.relative_difference, m.lower, m.upper)]
    error = None if m.se is None else f"{m.se:.2%}"
    log_e = None if m.log_e is None else f"{m.log_e:.2f}"
    return (
        m.name,
        m.role,
        m.champion,
        m.challenger,
        *shares,
        error,
        log_e,
        f"{100 * m.margin:g}%",
        f"{check.state.words}: {check.missing}" if check.missing else check.state.words,
    )


def daily(found: Sequence[ExperimentDecision]) -> Screen:
    """One line a day."""
    rows = []
    for d in found:
        success = d.metrics[0]
        effect = [
            None if v is None else f"{v:+.1%}" for v in (success.relative_difference, success.lower)
        ]
        rows.append((d.days, str(d.day), str(d.decision), *effect, ", ".join(d.reason_codes)))
    heads = ("day", "date", "decision", "effect on clicks", "lower bound", "because")
    return [table("Decisions, as if looked at daily", heads, rows)]


def audition(report: AuditionReport) -> Screen:
    """Rates of every scenario by world, two naive rules beside them, and what was accepted."""
    heads = (
        "scenario",
        "planted",
        "users",
        "runs",
        "promote",
        "hold",
        "reject",
        "day",
        "bare",
        "daily t",
        "as it should",
    )
    rates = [
        table(
            f"{world} ({assumes}), {report.seeds} seeds",
            heads,
            [_scenario(s) for s in report.scenarios if s.world == world],
        )
        for world, assumes in report.worlds.items()
    ]
    counts = [
        (s.world, s.name, limit.what, limit.count, _accepted(limit), limit.passes)
        for s in report.scenarios
        for limit in s.limits
    ]
    codes = [
        (s.world, s.name, ", ".join(f"{code} {count}" for code, count in list(s.codes.items())[:5]))
        for s in report.scenarios
    ]
    verdict = "Every count is accepted." if report.passes else "Some counts are not accepted."
    return [
        *rates,
        Text("Rates with their Monte Carlo error; bare, daily t: how often naive rules promote."),
        table("Counts", ("world", "scenario", "what", "count", "accepted", "passes"), counts),
        table("Reasons", ("world", "scenario", "runs by reason code"), codes),
        Text(verdict, style="green" if report.passes else "red"),
    ]


def _scenario(s: ScenarioResult) -> tuple[object, ...]:
    own = [f"{s.rates[name]:.3f} ± {s.errors[name]:.3f}" for name in ("promote", "hold", "reject")]
    naive = [f"{found['promote']:.2f}" for found in (s.bare, s.t_test)]
    passes = s.passes if s.limits else None
    return (s.name, s.planted, s.users, s.runs, *own, f"{s.median_day:.0f}", *naive, passes)


def _accepted(limit: Limit) -> str:
    return f"at least {limit.least}" if limit.most is None else f"at most {limit.most}"


def by_hand(entry: Entry) -> Screen:
    """What a person decided."""
    title = f"{entry.decision} by {entry.actor} · entry {entry.sequence}"
    return [
        Panel("\n".join(entry.reasons), title=title, title_align="left"),
        Text(_effect(entry)),
    ]


def _effect(entry: Entry) -> str:
    """Which version was removed and which one serves, by number and family."""
    families, versions = entry.evidence["families"], entry.evidence["versions"]
    champion, challenger = (
        f"version {versions[role]} ({families[role]})" for role in ("champion", "challenger")
    )
    if entry.decision == "roll_back":
        return f"{champion.capitalize()} serves again; {challenger} was rolled back."
    return f"{challenger.capitalize()} is champion on probation; it takes over from {champion}."


def replayed(results: Sequence[Replayed]) -> Screen:
    """Recomputed decisions, and how many of each outcome there are."""
    rows = [(r.sequence, r.decision_id, r.kind, r.outcome, r.detail) for r in results]
    counts = Counter(str(r.outcome) for r in results)
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    return [
        table("Replay", ("#", "decision", "kind", "outcome", "what differs"), rows),
        Text(f"{len(results):,} decisions: {told or 'none'}."),
    ]
