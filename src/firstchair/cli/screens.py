"""What each command draws for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from firstchair.cli.output import table
from firstchair.definitions.checks import CheckState

# Named in annotations alone: `--help` waits for none of what stands behind them.
if TYPE_CHECKING:
    from firstchair.commands.check import CheckReport
    from firstchair.commands.doctor import Finding
    from firstchair.commands.init import InitReport
    from firstchair.commands.quarantine import ReplayReport
    from firstchair.commands.rotation import RotationReport
    from firstchair.commands.status import PlatformStatus
    from firstchair.commands.summary import Summary
    from firstchair.commands.up import Service
    from firstchair.events import Refused
    from firstchair.login import Preview
    from firstchair.platform.alerts import Alert

Screen = Sequence[RenderableType]
SIMULATED = "All or some events are simulated: no figure here is of a real service."


def world(report: Any) -> Screen:
    """What `simulate` wrote."""
    rows = [("users", report.users), ("artists", report.artists), ("tracks", report.tracks)]
    rows += [("objects", report.objects), *sorted(report.events.items())]
    title = f"Simulated world, {report.first_date} to {report.last_date}"
    return [
        table(title, ("what", "count"), rows),
        Text("Every event is marked simulated.", style="yellow"),
    ]


SHOWN_EXPORTS = 20


def loaded(report: Any) -> Screen:
    """What `load` wrote, and which of it is real."""
    rows = [("users", report.users), ("artists", report.artists), ("tracks", report.tracks)]
    rows += [("objects", report.objects), *sorted(report.events.items())]
    shown = [f"{user}: {export}" for user, export in list(report.exports.items())[:SHOWN_EXPORTS]]
    if (more := len(report.exports) - len(shown)) > 0:
        shown.append(f"{more:,} more; --json lists all")
    panels = (
        ("users", shown),
        ("real", report.real),
        ("composed", report.composed),
        ("left out", report.left_out),
    )
    return [
        table(f"{report.name}, {report.first_date} to {report.last_date}", ("what", "count"), rows),
        *(
            Panel("\n".join(f"· {line}" for line in lines), title=title, title_align="left")
            for title, lines in panels
            if lines
        ),
    ]


def summary(s: Summary) -> Screen:
    """Events, models, engagement, churn, drift and decisions after a run."""
    parts: list[RenderableType] = [
        table(f"Events, {s.first_day} to {s.last_day}", ("fate", "records"), _fates(s)),
        _rows(f"Models as of {s.as_of}, tested on later days, artists new to the user", s.models),
        _by_segment("Engagement of the last days", s.engagement),
        *(
            _by_segment(f"Churn at {days} days, final labels as of {day}", rows)
            for days, day, rows in _horizons(s)
        ),
        Text(_drift(s)),
        *(_decision(row) for row in s.decisions),
        Text(
            f"Memory: {s.memory.peak_bytes / 2**30:.1f} GiB at most; queries may hold "
            f"{s.memory.limit_bytes / 2**30:.1f} GiB (memory_limit)."
        ),
    ]
    return [*parts, *_refusals(s.refused, s.changed_objects), *_mark(s.simulated)]


def _refusals(refused: Refused | None, changed: Sequence[str] = ()) -> list[RenderableType]:
    """What was not taken in, in words."""
    found: list[RenderableType] = []
    if refused is not None:
        found.append(Text(f"! {refused.sentence()}", style="yellow"))
    if changed:
        text = (
            f"! {len(changed):,} object(s) were written again after they were read, first "
            f"{changed[0]}: not read."
        )
        found.append(Text(text, style="yellow"))
    return found


def _fates(s: Summary) -> list[tuple[str, int]]:
    e = s.events
    refused = [(f"quarantined: {reason}", count) for reason, count in sorted(e.quarantined.items())]
    accounts = [
        (f"accounts refused: {reason}", count)
        for reason, count in sorted(s.refused_accounts.items())
    ]
    return [
        ("read", e.read),
        ("accepted", e.accepted),
        ("duplicates", e.duplicates),
        *refused,
        *accounts,
    ]


def _rows(title: str, rows: Sequence[dict[str, Any]]) -> RenderableType:
    if not rows:
        return Text(f"{title}: none yet.")
    return table(title, list(rows[0]), [list(row.values()) for row in rows])


def _by_segment(title: str, rows: Sequence[dict[str, Any]]) -> RenderableType:
    """Rows with segment and value in one column."""
    joined = []
    for row in rows:
        rest = {
            name: value for name, value in row.items() if name not in {"segment", "segment_value"}
        }
        value = "" if row["segment"] == "all" else f" {row['segment_value']}"
        joined.append({"segment": f"{row['segment']}{value}", **rest})
    return _rows(title, joined)


def _horizons(s: Summary) -> list[tuple[int, Any, list[dict[str, Any]]]]:
    """Churn rows of each horizon, less what its title says."""
    found: dict[tuple[int, Any], list[dict[str, Any]]] = {}
    for row in s.churn:
        rest = {name: value for name, value in row.items() if name not in {"as_of", "horizon_days"}}
        found.setdefault((row["horizon_days"], row["as_of"]), []).append(rest)
    return [(days, day, rows) for (days, day), rows in found.items()]


def _drift(s: Summary) -> str:
    if not s.drift["columns"]:
        return "Drift: no earlier features to compare with."
    names = ", ".join(s.drift["drifted"]) or "none"
    return (
        f"Drift: {len(s.drift['drifted'])} of {s.drift['columns']} columns ({names}); report "
        f"{s.drift['report']}"
    )


def _decision(row: dict[str, Any]) -> RenderableType:
    words = row["verdict"]
    lines = [words["sentence"]]
    for title, name in (
        ("Does not hold", "lacks"),
        ("Not enough data", "unknown"),
        ("Holds", "holds"),
    ):
        if words[name]:
            lines.append(f"{title}: {'; '.join(words[name])}.")
    title = f"{row['decision']} · {row['treatment']}"
    return Panel("\n".join(lines), title=title, title_align="left")


def status(found: PlatformStatus) -> Screen:
    """Roles, freshness, alerts."""
    roles = found.roles
    parts: list[RenderableType] = [
        table(
            "Roles",
            ("role", "version", "family", "stage", "as of"),
            [_role(n, v) for n, v in _held(roles)],
        ),
        Text(
            f"Since {roles.since}: {roles.why}"
            if roles.champion
            else "No champion yet: run `firstchair run`."
        ),
        Text(_stage(roles)),
        *([Text(found.stage_plan)] if found.stage_plan else []),
        table(
            "Newest",
            ("table", "day"),
            [
                ("accepted events", str(found.events_until)),
                ("features, as of", str(found.features_as_of)),
                ("lists, as of", str(found.lists_as_of)),
            ],
        ),
    ]
    parts += _work(found)
    parts += _refusals(found.refused)
    if found.skipped is not None:
        parts.append(Text(f"! {found.skipped.sentence()}", style="yellow"))
    return [*parts, *_checks(found), *_mark(found.simulated)]


def _alert(alert: Alert) -> Text:
    """What is wrong, then what is known of it."""
    found = Text(f"! {alert.text}\n", style="red")
    for name, words in (
        ("Likely cause", alert.cause),
        ("What to do", alert.remedy),
        ("See", alert.link),
    ):
        found.append(f"  {name}: {words}\n", style="not bold default")
    return found


def _mark(simulated: bool) -> list[RenderableType]:
    """The mark of figures that are of no real service."""
    return [Text(SIMULATED, style="yellow")] if simulated else []


def _work(found: PlatformStatus) -> list[RenderableType]:
    """What is at work and why, what waits, and for what."""
    from firstchair.platform.activity import settling_sentence

    parts: list[RenderableType] = [
        Text(
            found.work.sentence() if found.work is not None else "Nothing is at work on the tables."
        )
    ]
    parts += [Text(f"Dagster: {run.sentence()}") for run in found.runs]
    if found.seen_at is not None:
        text = f"Dagster and MLflow were last asked at {found.seen_at:%Y-%m-%d %H:%M:%S} UTC."
        parts.append(Text(text))
    if found.waiting:
        parts.append(Text(found.waiting_for))
    if found.starts_at is not None:
        parts.append(Text(settling_sentence(found.starts_at)))
    return parts


def _checks(found: PlatformStatus) -> list[RenderableType]:
    """What fails in full, what lacks data with what is missing, and how many pass."""
    parts: list[RenderableType] = [_alert(alert) for alert in found.alerts]
    parts = parts or [Text("No open alert.")]
    states = [str(check.state) for check in found.checks]
    parts += [
        Text(f"? {check.name}: {check.sentence()}", style="yellow")
        for check in found.checks
        if check.state == "not_enough_data"
    ]
    idle = ", ".join(check.name for check in found.checks if check.state == "not_applicable")
    told = f"{states.count('passes')} checks pass{f'; not applicable: {idle}' if idle else ''}."
    return [*parts, Text(told)]


def _stage(roles: Any) -> str:
    """The stage with traffic, and what its last look said."""
    if roles.phase is None:
        return "No version is in a stage with users."
    found = roles.phase
    return (
        f"{roles.treatment} is in {found.stage} against {roles.control}, seen by {found.share:.0%} "
        f"of users since {found.first_day}. Newest decision: {roles.last_look}"
    )


def _held(roles: Any) -> list[tuple[str, Any]]:
    return [
        (name, v)
        for name, v in (("champion", roles.champion), ("challenger", roles.challenger))
        if v is not None
    ]


def _role(name: str, version: Any) -> tuple[str, str, str, str, str]:
    return name, str(version.version), version.family, version.stage, str(version.as_of)


def listener(listed: Preview) -> Screen:
    """One user's list."""
    rows = [
        (item.position, item.name, item.artist_id, item.score, item.reason) for item in listed.items
    ]
    model = listed.model
    title = (
        f"{listed.user_id}, as of {listed.as_of}, by {model.name} {model.version} ({model.role})"
    )
    fallback = [Text(f"Fallback: {listed.fallback}", style="yellow")] if listed.fallback else []
    return [
        table(title, ("#", "artist", "id", "score", "reason"), rows),
        *fallback,
        *_mark(listed.simulated),
    ]


def decisions(entries: Sequence[Any], waiting: str = "") -> Screen:
    """The ledger, newest first, and what waits for a decision."""
    from firstchair.promotion import explained, families_of, model_title

    if not entries:
        return [Text("No decision yet.")]
    families = families_of(entries)
    rows = [
        (
            str(e.decided_at)[:19],
            str(e.as_of),
            e.decision,
            model_title(e.champion_after, families.get(e.champion_after)),
            explained(e).sentence,
        )
        for e in entries
    ]
    columns = ("decided", "as of", "decision", "champion", "verdict")
    return [table("Decisions", columns, rows), *([Text(waiting)] if waiting else [])]


def replayed(r: ReplayReport) -> Screen:
    """What became of the records that were tried again."""
    again = [(f"quarantined again: {name}", n) for name, n in sorted(r.quarantined.items())]
    rows = [("tried", r.tried), ("accepted", r.accepted), ("duplicates", r.duplicates), *again]
    rows += [("waiting for their day to be over", r.waiting)] if r.waiting else []
    refused = [sum(found.values()) for found in (r.accounts.before, r.accounts.after)]
    rows += [("accounts refused before", refused[0]), ("accounts refused now", refused[1])]
    parts: list[RenderableType] = [table("Records tried again", ("fate", "records"), rows)]
    if lost := r.unreadable.gone + r.unreadable.changed:
        text = (
            f"! {lost:,} of them could not be read again and stay in quarantine: the objects of "
            f"{r.unreadable.gone:,} are gone, those of {r.unreadable.changed:,} are not what was "
            f"read (first: {r.unreadable.first}). Have their sender deliver them in new objects."
        )
        parts.append(Text(text, style="yellow"))
    built = f"{r.days_built:,} days were built anew." if r.days_built else "No day was built anew."
    return [*parts, Text(built)]


def rotated(r: RotationReport) -> Screen:
    """What a rotation of the pseudonym key did."""
    rows = [(f"rows of {name}", rows) for name, rows in r.tables.items()]
    rows = [("users", r.users), *rows, ("published versions", r.published)]
    title = "Pseudonym key replaced" + (", an interrupted rotation completed" if r.resumed else "")
    parts: list[RenderableType] = [table(title, ("what", "count"), rows)]
    if r.orphans:
        text = (
            f"! {r.orphans:,} of the users are in no account and in no event object any more: a "
            "later event of theirs will be another user's."
        )
        parts.append(Text(text, style="yellow"))
    if r.setting:
        text = "! The setting pseudonym_key holds the old key: set it to the key in the home."
        parts.append(Text(text, style="yellow"))
    return parts


def champion_at(at: str, entry: Any) -> Screen:
    """Who was champion at a time."""
    from firstchair.promotion import explained

    if entry is None:
        return [Text(f"There was no champion at {at}.")]
    words = explained(entry).sentence
    return [Text(f"At {at}: version {entry.champion_after}, since {entry.decided_at}. {words}")]


def verification(checked: Any) -> Screen:
    """Whether the hash chain holds."""
    if checked.ok:
        return [Text(f"{checked.entries:,} entries; the chain holds.", style="green")]
    return [Text(f"The chain is broken at entry {checked.first_broken}.", style="red")]


def initialised(report: InitReport) -> Screen:
    """What `init` wrote, and how many of the sampled records it makes events."""
    rows = [
        ("records sampled", report.sampled),
        ("accepted without a mapping", report.accepted_before),
        ("accepted with it", report.accepted),
    ]
    proposed = [*report.mapping, *report.accounts] or ["the contract's form; no mapping is needed"]
    return [
        table(report.path, ("what", "count"), rows),
        Panel("\n".join(proposed), title="mapping", title_align="left"),
        Text("Read the file, then run `firstchair check`."),
    ]


def checked(report: CheckReport) -> Screen:
    """What becomes of the samples, the faults with their remedies, and three examples."""
    rows = [
        ("records", report.read, report.accepted, report.read - report.accepted),
        (
            "accounts",
            report.accounts_read,
            report.accounts_read - sum(report.accounts_refused.values()),
            sum(report.accounts_refused.values()),
        ),
    ]
    parts: list[RenderableType] = [
        table("Samples; nothing was written", ("what", "read", "accepted", "refused"), rows)
    ]
    notes = [*report.derived, *([f"catalogue: {report.catalogue}"] if report.catalogue else [])]
    notes += [f"{name} is known of {share:.0%}" for name, share in report.understood.items()]
    if report.names_only:
        names = ", ".join(f"{name} ({count:,})" for name, count in report.names_only.items())
        notes.append(f"values of these fields are not kept; add to extra_fields what is: {names}")
    parts += [Text(f"· {note}") for note in notes]
    if report.faults:
        faults = [(one.source, one.rows, one.what, one.mend) for one in report.faults]
        parts.append(table("Faults", ("source", "rows", "what", "what to do"), faults))
    for number, example in enumerate(report.examples, start=1):
        fields = [(name, str(value)) for name, value in example.items()]
        parts.append(table(f"Example {number}", ("field", "value"), fields))
    return parts


def doctor(findings: Sequence[Finding]) -> Screen:
    """What was looked at, and what to do."""
    rows = [(f.name, f.state.words, _found(f), f.remedy if _fails(f) else "") for f in findings]
    return [table("Doctor", ("what", "state", "found", "what to do"), rows)]


def _found(finding: Finding) -> str:
    return f"{finding.detail} (missing: {finding.missing})" if finding.missing else finding.detail


def _fails(finding: Finding) -> bool:
    return finding.state is CheckState.FAILS


def addresses(services: Sequence[Service]) -> RenderableType:
    """Where the pages are."""
    return table(
        "Running",
        ("service", "address"),
        [(s.name, s.page or s.address or "in the background") for s in services],
    )
