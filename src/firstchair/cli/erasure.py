"""Commands of erasure: forget users, and prove it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.text import Text

from firstchair.cli.app import AsJson, app
from firstchair.cli.output import at_work, show, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from firstchair.cli.screens import Screen
    from firstchair.erasure import Erasure, Verification

SHOWN = 20
Report = TypeVar("Report")


@app.command()
def forget(
    user_ids: Annotated[
        list[str], typer.Argument(metavar="USER_ID...", help="Keys of the account table.")
    ],
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Change nothing: read every byte for each user."),
    ] = False,
    rewrite_landing: Annotated[
        bool,
        typer.Option(
            "--rewrite-landing",
            help="Write the objects of the event store again without the users.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take users out of tables, lists, models, spool, reports and databases, or prove that.

    Of several users at once, everything is read, fitted again and published once for all.
    """
    from firstchair import erasure
    from firstchair.platform import open_platform

    if not all(user_ids):
        raise typer.BadParameter("An empty key names no user.")
    if verify and rewrite_landing:
        raise typer.BadParameter("--verify changes nothing; leave out --rewrite-landing.")
    named = list(dict.fromkeys(user_ids))
    with at_work("forget") as advance:
        platform = open_platform()
        if verify:
            proofs = erasure.verify_users(platform, named, progress=advance)
        else:
            reports = erasure.forget_users(
                platform, named, rewrite_landing=rewrite_landing, progress=advance
            )
    if verify:
        _show(proofs, _proof, as_json=as_json)
        raise typer.Exit(0 if all(proof.ok for proof in proofs) else 1)
    _show(reports, partial(_erasure, rewrite=rewrite_landing), as_json=as_json)


def _show(found: Sequence[Report], screen: Callable[[Report], Screen], *, as_json: bool) -> None:
    """Print the report of the only user as it is, those of several as a list in their order."""
    document = found[0] if len(found) == 1 else found
    show(document, as_json=as_json, screen=lambda: [part for one in found for part in screen(one)])


def _erasure(report: Erasure, *, rewrite: bool) -> Screen:
    """What was done, and what is left to others."""
    done = (
        "was forgotten before; what was found again is gone" if report.already else "is forgotten"
    )
    rows = [*report.rows.items(), ("lines of the spool", report.spooled)]
    rows += [("signals of today", report.signals), *report.databases.items()]
    rows += [("files with crossed-out names", len(report.masked))]
    rows += [("earlier publications removed", len(report.publications_removed))]
    refits = [
        (one.version, one.family, "as if subtracted" if one.exact else "refit", one.seconds)
        for one in report.refits
    ]
    shown: list[RenderableType] = [
        Text(f"The user {done}. Entry {report.ledger_entry} of the ledger says so, and not who."),
        table("Taken out", ("of", "rows or files"), rows),
    ]
    if refits:
        shown.append(table("Fitted again", ("version", "family", "how", "seconds"), refits))
    if report.others_fitted_before:
        shown.append(
            Text(
                f"{report.others_fitted_before:,} versions that serve nobody were fitted with the "
                "user, and stay as they are. They hold no row of a user."
            )
        )
    shown.append(table("Seconds", ("step", "seconds"), list(report.seconds.items())))
    return [*shown, *_landing(report, rewrite=rewrite)]


def _landing(report: Erasure, *, rewrite: bool) -> Screen:
    """What the event store holds of the user; whether it was to be rewritten."""
    shown: list[RenderableType] = []
    if report.rewritten:
        shown.append(Text(f"{len(report.rewritten):,} objects of the event store were rewritten."))
    if report.landing:
        named = ", ".join(report.landing[:SHOWN])
        more = f" and {len(report.landing) - SHOWN:,} more" if len(report.landing) > SHOWN else ""
        advice = (
            "They were not rewritten, because a record cannot be read whole or two stand on a line."
            if rewrite
            else "--rewrite-landing writes them again without the user."
        )
        shown.append(
            Text(
                f"{len(report.landing):,} objects of the event store, which is another team's, "
                f"hold the user: {named}{more}. They are never read again. {advice}",
                style="yellow",
            )
        )
    shown.append(Text("The account table is another team's: delete the account there."))
    return shown


def _proof(proof: Verification) -> Screen:
    """What was read, and where the user was found."""
    read = [*proof.files.items(), ("tables of databases", proof.tables)]
    shown: list[RenderableType] = [
        table(f"Read: {proof.bytes:,} bytes, stored and unpacked", ("of", "number"), read)
    ]
    if proof.not_read:
        shown.append(Text(f"Not read: {proof.not_read}."))
    if proof.by_field:
        shown.append(
            Text(
                "The user_id is short, has no letter, or is also the key of an artist or track: it "
                "was looked for as the value of such a field alone."
            )
        )
    if proof.sources:
        rows = [(one.name, ", ".join(one.names)) for one in proof.sources[:SHOWN]]
        title = f"Held by other teams: {len(proof.sources):,}"
        shown.append(table(title, ("object or table", "by"), rows))
    if proof.left:
        left = [(one.kind, one.name, ", ".join(one.names)) for one in proof.left[:SHOWN]]
        shown.append(
            table(f"Holds the user: {len(proof.left):,}", ("kind", "file or table", "by"), left)
        )
    shown += [Text(f"Cannot be read: {name}", style="red") for name in proof.unread[:SHOWN]]
    verdict = "Nothing of ours holds the user." if proof.ok else "The user is not forgotten."
    return [*shown, Text(verdict, style="green" if proof.ok else "red")]
